// The panel beside the page with all details of the selected task.
"use strict";

// Most names that a list shows.
const NAMES_LISTED = 50;

const details = (() => {
  const panel = byId("details");
  let from = null;

  function names(title, rows) {
    if (!rows || !rows.length) return null;
    const items = rows.slice(0, NAMES_LISTED).map((row) => make("li", {}, statusMark(tasks.status(row)), taskButton(row)));
    if (rows.length > NAMES_LISTED) items.push(make("li", { class: "muted" }, `and ${rows.length - NAMES_LISTED} more`));
    return make("div", {}, make("h3", {}, title), make("ul", { class: "names" }, ...items));
  }

  function facts(row) {
    const list = make("dl", {});
    const fact = (term, value) => {
      if (value !== "") list.append(make("dt", {}, term), make("dd", {}, value));
    };
    fact("Type", tasks.type(row));
    if (tasks.ran(row)) {
      fact("Why", tasks.why(row));
      fact("Took", duration(tasks.seconds(row)));
      fact("Ran", `from ${duration(tasks.began(row))} to ${duration(tasks.ended(row))}`);
      const held = tasks.heldBy(row);
      fact("Waited", held ? `${duration(tasks.wait(row))} for ${held}` : "");
      fact("Worker", tasks.worker(row));
      fact("Slot", `${tasks.worker(row) ? "" : tasks.type(row)} ${tasks.slot(row) + 1}`);
      fact("Attempt", tasks.attempt(row) > 1 ? String(tasks.attempt(row)) : "");
      fact("Processor", duration(tasks.cpu(row)));
      fact("Peak memory", bytes(tasks.peak(row)));
      fact("Path", tasks.onPath(row) ? "on the critical path" : "");
    }
    return list;
  }

  function show(row) {
    const failure = data.failures.find((other) => other.row === row);
    const command = failure ? failure.command : tasks.command(row);
    const status = tasks.status(row);
    panel.replaceChildren(...[
      make("header", {},
        make("h2", { id: "details-title" }, tasks.name(row)),
        make("button", { type: "button", class: "close", title: "Close (Esc)", "aria-label": "Close", onclick: close }, "×")),
      make("p", { class: `state ${status}` }, statusMark(status), tasks.reason(row) ? `${status}: ${tasks.reason(row)}` : status),
      facts(row),
      make("p", { class: "links" }, make("a", { href: taskAddress(row) }, "Link to this task"), logLink(row)),
      command ? make("pre", { class: "command" }, command) : null,
      failure ? outputOf(failure) : null,
      names("Depends on", tasks.needs(row)),
      names("Needed by", tasks.dependents(row)),
    ].filter(Boolean));
    panel.hidden = false;
    panel.scrollTop = 0;
    for (const output of panel.querySelectorAll(".output")) output.scrollTop = output.scrollHeight;
  }

  function close() {
    view.change({ selected: null });
  }

  view.onChange((changes) => {
    if (!("selected" in changes)) return;
    if (changes.selected === null) {
      if (panel.hidden) return;
      panel.hidden = true;
      if (from && from.isConnected) from.focus({ preventScroll: true });
      from = null;
      return;
    }
    if (!panel.contains(document.activeElement)) from = document.activeElement;
    show(changes.selected);
    panel.focus({ preventScroll: true });
  });

  return { close };
})();
