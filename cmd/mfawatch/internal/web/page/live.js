(() => {
  const live = document.getElementById("live"), health = document.getElementById("health"), button = document.getElementById("pause");
  if (!live || !button || !window.EventSource) return;
  let source;
  const start = () => {
    source = new EventSource("/events" + location.search);
    source.onmessage = (event) => {
      const focused = document.activeElement && document.activeElement.id;
      live.innerHTML = event.data;
      const line = live.firstElementChild;
      if (health.innerHTML === line.outerHTML) line.remove(); else health.replaceChildren(line);
      const again = focused && document.getElementById(focused);
      if (again) again.focus();
    };
  };
  const pause = (paused) => {
    button.textContent = paused ? "Resume updates" : "Pause updates";
    if (paused) source.close(); else start();
  };
  let paused = false;
  button.onclick = () => pause(paused = !paused);
  button.hidden = false;
  start();
})();
