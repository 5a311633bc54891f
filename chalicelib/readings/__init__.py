"""What several flows share that concerns several features: what is read of them at once, and how a mail is made and
what becomes of it is written."""
