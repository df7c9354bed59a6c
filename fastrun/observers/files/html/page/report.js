// The start of all parts, and what concerns the whole page: the search, keys, notes.
"use strict";

showHead();
showFailures();
showPath();
timeline.start();
table.start();

// The layout of a large drawing takes a while, so it waits until the reader scrolls near it.
const near = new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  near.disconnect();
  graph.start();
}, { rootMargin: "600px" });
near.observe(byId("graph"));

let typing = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => view.change({ words: byId("search").value }), 120);
});
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") byId("tasks").scrollIntoView();
});

document.addEventListener("keydown", (event) => {
  const writes = event.target.closest("input, textarea");
  if (event.key === "/" && !writes) {
    event.preventDefault();
    byId("search").focus();
  } else if (event.key === "Escape" && !writes) {
    details.close();
  }
});

// The address of the page names the selected task, and the other way round: so a task can be linked to.
function selectByAddress() {
  const named = new URLSearchParams(location.hash.slice(1)).get("task");
  const row = named === null ? -1 : tasks.rowOf(named);
  if (row >= 0) view.change({ selected: row });
}

view.onChange((changes) => {
  if ("selected" in changes) {
    history.replaceState(null, "", changes.selected === null ? location.pathname + location.search : taskAddress(changes.selected));
  }
});
addEventListener("hashchange", selectByAddress);
selectByAddress();

byId("notes").append(...data.notes.map((note) => make("li", {}, note)));
byId("made").textContent = `Made by fastrun ${data.version}. This file needs nothing else and sends nothing anywhere.`;
