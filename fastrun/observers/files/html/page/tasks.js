// The tasks of the run, the selection and the search. All parts of the page that show tasks follow these.
"use strict";

const data = JSON.parse(byId("data").textContent);

const STATUSES = ["ok", "failed", "skipped", "interrupted"];
const WAITS = {
  slot: "a slot",
  pool: "its pool",
  load: "lower load",
  memory: "free memory",
  jobserver: "a job slot",
  retry: "another attempt",
};

// Fewest seconds that count as a wait. Starting many tasks at once takes less.
const NOTABLE_WAIT = 0.05;

const tasks = (() => {
  const columns = data.tasks;
  const coded = (column) => (row) => column.values[column.codes[row]];
  const seconds = (micros) => (micros === null ? null : micros / 1e6);
  const began = columns.began.map(seconds);
  const ended = columns.ended.map(seconds);
  const ready = columns.ready.map(seconds);
  const path = new Set(data.path.rows);
  const heldBy = coded(columns.heldBy);
  let dependents = null;

  return {
    count: columns.name.length,
    name: (row) => columns.name[row],
    // The row of the task with a name, -1 if none has it.
    rowOf: (name) => columns.name.indexOf(name),
    type: coded(columns.type),
    status: coded(columns.status),
    reason: coded(columns.reason),
    // Why a task ran, in a run that leaves out what is up to date; else empty.
    why: coded(columns.why),
    ran: (row) => began[row] !== null,
    began: (row) => began[row],
    ended: (row) => ended[row],
    ready: (row) => ready[row],
    seconds: (row) => (began[row] === null ? null : ended[row] - began[row]),
    wait: (row) => (began[row] === null ? null : began[row] - ready[row]),
    slot: (row) => columns.slot[row],
    // The worker of a cluster; empty for a task that ran on this machine.
    worker: coded(columns.worker),
    attempt: (row) => columns.attempt[row],
    cpu: (row) => seconds(columns.cpu[row]),
    peak: (row) => columns.peak[row],
    group: (row) => columns.group[row],
    // The path of the file with all that a task printed; empty if there is none.
    log: (row) => (columns.log === null ? "" : columns.log[row]),
    command: (row) => (columns.command === null ? null : columns.command[row]),
    onPath: (row) => path.has(row),
    notableWait: (row) => (began[row] !== null && began[row] - ready[row] >= NOTABLE_WAIT ? began[row] - ready[row] : null),
    // What a task waited for; empty if the wait was too short to count.
    heldBy(row) {
      return this.notableWait(row) === null ? "" : WAITS[heldBy(row)] || "";
    },
    needs: (row) => (columns.needs === null ? null : columns.needs[row]),
    dependents(row) {
      if (columns.needs === null) return null;
      if (dependents === null) {
        dependents = new Map();
        columns.needs.forEach((needs, other) => {
          for (const needed of needs) {
            if (!dependents.has(needed)) dependents.set(needed, []);
            dependents.get(needed).push(other);
          }
        });
      }
      return dependents.get(row) || [];
    },
  };
})();

// What the reader looks at: the selected task, and the tasks that match the search and the filters.
const view = (() => {
  const listeners = [];
  const state = { selected: null, words: "", statuses: new Set(), group: null, path: false, reused: false };
  let names = null;
  let matched = null;

  function matches() {
    if (matched !== null) return matched;
    if (names === null) names = Array.from({ length: tasks.count }, (_, row) => tasks.name(row).toLowerCase());
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    matched = new Uint8Array(tasks.count);
    for (let row = 0; row < tasks.count; row++) {
      const here =
        words.every((word) => names[row].includes(word)) &&
        (state.statuses.size === 0 || state.statuses.has(tasks.status(row))) &&
        (state.group === null || tasks.group(row) === state.group) &&
        (!state.path || tasks.onPath(row)) &&
        (!state.reused || tasks.reason(row) === data.run.reusedAs);
      matched[row] = here ? 1 : 0;
    }
    return matched;
  }

  return {
    state,
    matches,
    // Whether the search or a filter is active.
    filtered: () => state.words.trim() !== "" || state.statuses.size > 0 || state.group !== null || state.path ||
      state.reused,
    change(changes) {
      if (Object.keys(changes).some((key) => key !== "selected")) matched = null;
      Object.assign(state, changes);
      for (const listener of listeners) listener(changes);
    },
    toggleStatus(status) {
      const statuses = new Set(state.statuses);
      if (!statuses.delete(status)) statuses.add(status);
      this.change({ statuses });
    },
    onChange: (listener) => listeners.push(listener),
  };
})();
