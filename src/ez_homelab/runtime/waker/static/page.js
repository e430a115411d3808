"use strict";

// Without this script the page asks again by itself every two seconds; with it, it follows the start as it happens.
(() => {
  const before = document.body.dataset.state;
  if (before === "failed") return;
  const source = new EventSource(document.body.dataset.events);
  source.onmessage = (event) => {
    const told = JSON.parse(event.data);
    if (told.state === "awake" || told.state === "failed") {
      source.close();
      location.reload();
      return;
    }
    for (const name of ["sentence", "step", "elapsed", "typical"]) {
      const place = document.getElementById(name);
      if (place && place.textContent !== told[name]) place.textContent = told[name];
    }
  };
  // Whatever keeps the events from coming, asking again finds out what is.
  source.onerror = () => {
    source.close();
    setTimeout(() => location.reload(), 2000);
  };
})();
