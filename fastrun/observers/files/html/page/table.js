// The table of all tasks, sorted and filtered. Only the visible rows exist: 100,000 would be too many for any browser.
"use strict";

const table = (() => {
  const scroll = byId("table-scroll");
  const body = byId("table-body");
  const ROW = 32;
  // Rows that exist above and below the visible ones.
  const SPARE = 10;
  const ALL_COLUMNS = [
    { key: "status", title: "Status", value: (row) => WORST.indexOf(tasks.status(row)), cell: statusCell, class: "" },
    { key: "name", title: "Task", value: null, cell: nameCell, class: "name" },
    { key: "seconds", title: "Took", value: tasks.seconds, cell: tookCell, class: "number took" },
    { key: "began", title: "Started", value: tasks.began, cell: (row) => duration(tasks.began(row)), class: "number" },
    { key: "wait", title: "Waited", value: tasks.notableWait, cell: waitCell, class: "number" },
    { key: "cpu", title: "Processor", value: tasks.cpu, cell: (row) => duration(tasks.cpu(row)), class: "number" },
    { key: "peak", title: "Peak memory", value: tasks.peak, cell: (row) => bytes(tasks.peak(row)), class: "number" },
  ];
  const WORST = ["failed", "interrupted", "skipped", "ok"];
  const names = new Intl.Collator("en", { numeric: true });
  const longest = Array.from({ length: tasks.count }, (_, row) => tasks.seconds(row) || 0)
    .reduce((most, seconds) => Math.max(most, seconds), 0);

  // Without columns that are empty for all tasks.
  const COLUMNS = ALL_COLUMNS.filter(({ value }) => value === null || rowsOf((row) => value(row) !== null, 1).length);

  let sort = { key: null, down: false };
  let rows = [];
  let byName = null;
  // The first of the existing rows, and the row after the last.
  let drawn = [-1, -1];

  // Returns the tasks for which ``holds`` returns true, at most ``most``.
  function rowsOf(holds, most = Infinity) {
    const found = [];
    for (let row = 0; row < tasks.count && found.length < most; row++) if (holds(row)) found.push(row);
    return found;
  }

  // The position of each task in the order of names, computed once.
  function positionsByName() {
    if (byName === null) {
      byName = new Uint32Array(tasks.count);
      Array.from({ length: tasks.count }, (_, row) => row)
        .sort((a, b) => names.compare(tasks.name(a), tasks.name(b)))
        .forEach((row, position) => { byName[row] = position; });
    }
    return byName;
  }

  function refresh() {
    const matches = view.matches();
    rows = rowsOf((row) => matches[row] === 1);
    if (sort.key !== null) {
      const column = COLUMNS.find((other) => other.key === sort.key);
      const positions = column.value === null ? positionsByName() : null;
      const values = new Float64Array(tasks.count);
      for (const row of rows) {
        const value = positions ? positions[row] : column.value(row);
        // Tasks without a value come last in either direction.
        values[row] = value === null ? (sort.down ? -Infinity : Infinity) : value;
      }
      const sign = sort.down ? -1 : 1;
      rows.sort((a, b) => (values[a] === values[b] ? a - b : sign * (values[a] < values[b] ? -1 : 1)));
    }
    const all = plural(tasks.count, "task");
    byId("table-count").textContent = view.filtered() ? `${number.format(rows.length)} of ${all}` : all;
    byId("table").setAttribute("aria-rowcount", String(rows.length + 1));
    scroll.scrollTop = 0;
    drawn = [-1, -1];
    draw();
  }

  function draw() {
    const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - SPARE);
    const last = Math.min(rows.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / ROW) + SPARE);
    // Existing rows are kept: the user may be about to click one.
    if (first === drawn[0] && last === drawn[1]) return;
    drawn = [first, last];
    const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr").dataset.row : null;
    body.replaceChildren(space(first), ...rows.slice(first, last).map((row, index) => line(row, first + index)),
      space(rows.length - last));
    if (focused !== null) {
      const again = body.querySelector(`tr[data-row="${focused}"] button`);
      if (again) again.focus({ preventScroll: true });
    }
    if (!rows.length) body.append(make("tr", {}, make("td", { colspan: COLUMNS.length, class: "empty" }, "No task matches.")));
  }

  function space(many) {
    const empty = make("tr", { class: "space", "aria-hidden": "true" });
    empty.style.height = `${many * ROW}px`;
    return empty;
  }

  function line(row, position) {
    const cells = COLUMNS.map(({ cell, class: kind }) => {
      const made = make("td", { class: kind });
      made.append(...[cell(row, made)].flat());
      return made;
    });
    return make("tr", { "data-row": row, "aria-rowindex": position + 2, class: row === view.state.selected ? "chosen" : "" },
      ...cells);
  }

  function statusCell(row) {
    return [statusMark(tasks.status(row)), tasks.status(row)];
  }

  function nameCell(row) {
    return [taskButton(row), make("span", { class: "muted" }, tasks.reason(row) || tasks.why(row)),
      tasks.onPath(row) ? make("span", { class: "on-path", title: "on the critical path" }, "path") : ""];
  }

  function tookCell(row, cell) {
    if (longest > 0) cell.style.setProperty("--share", `${100 * (tasks.seconds(row) || 0) / longest}%`);
    return duration(tasks.seconds(row));
  }

  function waitCell(row) {
    const held = tasks.heldBy(row);
    return held && `${duration(tasks.wait(row))} · ${held}`;
  }

  function showHead() {
    for (const column of COLUMNS) {
      const head = make("th", { scope: "col", "aria-sort": "none", class: column.class, "data-key": column.key },
        make("button", { type: "button", onclick: () => sortBy(column) }, column.title));
      byId("table-head").append(head);
    }
  }

  // The first click sorts in the direction wanted most often: names ascending, numbers descending. The third click
  // restores the order of the document.
  function sortBy(column) {
    const firstDown = column.class.startsWith("number");
    if (sort.key !== column.key) sort = { key: column.key, down: firstDown };
    else if (sort.down === firstDown) sort = { key: column.key, down: !firstDown };
    else sort = { key: null, down: false };
    for (const head of byId("table-head").children) {
      const chosen = head.dataset.key === sort.key;
      head.setAttribute("aria-sort", chosen ? (sort.down ? "descending" : "ascending") : "none");
    }
    refresh();
  }

  function showFilters() {
    const chips = byId("filters");
    for (const status of STATUSES) {
      if (!data.run.counts[status]) continue;
      chips.append(make("button", { type: "button", class: "chip", "data-status": status, "aria-pressed": "false",
        onclick: () => view.toggleStatus(status) }, statusMark(status), status));
    }
    const path = make("button", { type: "button", class: "chip", "aria-pressed": "false",
      onclick: () => view.change({ path: !view.state.path }) }, "critical path");
    // Up to date, or from the journal.
    const reused = make("button", { type: "button", class: "chip", "aria-pressed": "false", hidden: !data.run.reused,
      onclick: () => view.change({ reused: !view.state.reused }) }, data.run.reusedAs);
    const group = make("button", { type: "button", class: "chip", "aria-pressed": "true", hidden: true,
      onclick: () => view.change({ group: null }) });
    const clear = make("button", { type: "button", class: "chip plain", hidden: true, onclick: () => {
      byId("search").value = "";
      view.change({ words: "", statuses: new Set(), group: null, path: false, reused: false });
    } }, "Show all");
    chips.append(path, reused, group, clear);
    view.onChange(() => {
      path.setAttribute("aria-pressed", String(view.state.path));
      reused.setAttribute("aria-pressed", String(view.state.reused));
      group.hidden = view.state.group === null;
      if (!group.hidden) group.textContent = `in ${data.graph.nodes[view.state.group].label}  ×`;
      clear.hidden = !view.filtered();
    });
  }

  // Moves the focus from one task to the next with the arrow keys.
  function onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const current = event.target.closest("tr[data-row]");
    if (!step || !current) return;
    event.preventDefault();
    const position = rows.indexOf(Number(current.dataset.row)) + step;
    if (position < 0 || position >= rows.length) return;
    const top = position * ROW;
    const head = byId("table-head").offsetHeight;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (top + ROW + head > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + ROW + head - scroll.clientHeight;
    draw();
    const next = body.querySelector(`tr[data-row="${rows[position]}"] button`);
    if (next) next.focus({ preventScroll: true });
  }

  return {
    start() {
      showHead();
      showFilters();
      refresh();
      scroll.addEventListener("scroll", framed(draw));
      scroll.addEventListener("keydown", onKey);
      new ResizeObserver(framed(draw)).observe(scroll);
      view.onChange((changes) => {
        if (Object.keys(changes).some((key) => key !== "selected")) refresh();
        // The rows are kept, and so is the focus.
        for (const row of body.children) row.classList.toggle("chosen", row.dataset.row === String(view.state.selected));
      });
    },
  };
})();
