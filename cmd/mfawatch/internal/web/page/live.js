(() => {
  const find = (id) => document.getElementById(id);
  const live = find("live"), health = find("health"), button = find("pause"), stale = find("stale");
  if (!live || !button || !window.EventSource) return;
  let source, paused = false, seen = Date.now(), tried = seen;
  const start = () => {
    tried = Date.now();
    source = new EventSource("/events" + location.search);
    source.addEventListener("same", () => { seen = Date.now(); look(); });
    source.onmessage = (event) => {
      const focused = document.activeElement && document.activeElement.id;
      live.innerHTML = event.data;
      const line = live.firstElementChild;
      if (health.innerHTML === line.outerHTML) line.remove(); else health.replaceChildren(line);
      const again = focused && find(focused);
      if (again) again.focus();
      seen = Date.now();
      look();
    };
  };
  const look = () => {
    const now = Date.now(), old = !paused && now - seen > 20000;
    if (old && stale.hidden) stale.lastElementChild.textContent = new Date(seen).toLocaleTimeString([], { timeZoneName: "short" });
    stale.hidden = !old;
    if (!paused && (source.readyState === EventSource.CLOSED || old && now - tried > 60000)) { source.close(); start(); }
  };
  button.onclick = () => {
    paused = !paused;
    button.textContent = paused ? "Resume updates" : "Pause updates";
    if (paused) source.close(); else start();
    look();
  };
  button.hidden = false;
  start();
  setInterval(look, 5000);
})();
