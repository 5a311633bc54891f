(function () {
  "use strict";
  var form = document.querySelector("form"), told = document.getElementById("sent");
  var started = false, isSent = false, timer = 0;
  if (navigator.webdriver || !window.fetch || !window.URLSearchParams) return;

  function score() {
    var chosen = form.querySelector("input[name=score]:checked");
    return chosen ? chosen.value : null;
  }

  function send() {
    var value = score();
    if (isSent || value === null || document.visibilityState !== "visible") return;
    isSent = true;
    fetch(location.pathname, {
      method: "POST",
      body: new URLSearchParams({ score: value, by: "script" }),
      credentials: "omit",
      keepalive: true
    }).then(function (answer) {
      if (answer.ok) told.textContent = "Your score, " + value + ", is saved. You may add a comment, or change it.";
    }, function () {});
  }

  function sendIn(ms) {
    clearTimeout(timer);
    timer = setTimeout(send, ms);
  }

  function see() {
    clearTimeout(timer);
    // Only what is painted has been seen; nothing is while the page is hidden.
    requestAnimationFrame(function () { sendIn(1000); });
  }

  function act() {
    // The event may be the beginning of another choice: that one counts.
    if (started) return;
    started = true;
    sendIn(300);
  }

  ["pointerdown", "keydown", "touchstart"].forEach(function (name) {
    addEventListener(name, act, { once: true, passive: true });
  });
  form.addEventListener("change", function () { started = true; sendIn(1000); });
  form.addEventListener("submit", function () { isSent = true; clearTimeout(timer); });
  document.addEventListener("visibilitychange", see);
  see();
})();
