"""Analytics: questions, their definitions, their SQL and their answers."""
