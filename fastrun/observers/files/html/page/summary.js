// The head of the page, the failures and the critical path: what a reader looks at first.
"use strict";

const MARKS = { ok: "✓", failed: "✕", skipped: "–", interrupted: "!" };

// Most tasks of the critical path that are listed, and most lines of output that a failure shows at first.
const PATH_LISTED = 25;
const OUTPUT_LINES = 12;

// Most failures that are shown at first. More of them would keep the reader from what is below.
const FAILURES_SHOWN = 10;

function statusMark(status) {
  return make("span", { class: `mark-of ${status}`, "aria-hidden": "true" }, MARKS[status]);
}

function taskButton(row) {
  return make("button", { type: "button", class: "task-link", onclick: () => view.change({ selected: row }) },
    tasks.name(row));
}

function taskAddress(row) {
  return `#task=${encodeURIComponent(tasks.name(row))}`;
}

// Returns a link to the file with all that a task printed, null if there is none.
function logLink(row) {
  const log = tasks.log(row);
  return log ? make("a", { class: "log", href: log, target: "_blank", rel: "noopener" }, "Log") : null;
}

function showHead() {
  const run = data.run;
  const verdict = run.interrupted ? "interrupted" : run.ok ? "ok" : "failed";
  document.title = `${{ ok: "✓", failed: "✕", interrupted: "!" }[verdict]} ${data.title} – fastrun`;
  byId("title").textContent = data.title;
  const badge = byId("verdict");
  badge.className = verdict;
  const interrupted = run.timedOut === null ? "Interrupted" : `Timed out after ${run.timedOut} s`;
  badge.textContent = { ok: "All is well", failed: "Failed", interrupted }[verdict];
  const parts = STATUSES.filter((status) => run.counts[status]).map((status) => {
    const extra = { ok: [run.reused, run.reusedAs], failed: [run.allowed, "allowed"],
      skipped: [run.notNeeded, "not needed"], interrupted: [run.notStarted, "not started"] }[status];
    const note = extra && extra[0] ? ` (${number.format(extra[0])} ${extra[1]})` : "";
    return `${number.format(run.counts[status])} ${status}${note}`;
  });
  const started = new Date(run.started * 1000);
  byId("sentence").append(
    `${plural(run.tasks, "task")}${parts.length ? ": " + parts.join(", ") : ""}. Started `,
    make("time", { datetime: started.toISOString() },
      started.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "long" })), ".");
  showShares(run);
  showFigures(run);
}

function showShares(run) {
  for (const status of STATUSES) {
    const count = run.counts[status];
    if (!count) continue;
    const share = make("span", { class: status });
    share.style.flexGrow = String(count);
    byId("shares").append(share);
    byId("legend").append(make("button",
      { type: "button", class: "chip", "data-status": status, "aria-pressed": "false",
        onclick: () => {
          view.toggleStatus(status);
          byId("tasks").scrollIntoView();
        } },
      statusMark(status), `${number.format(count)} ${status}`));
  }
  view.onChange(() => {
    for (const chip of document.querySelectorAll(".chip[data-status]")) {
      chip.setAttribute("aria-pressed", String(view.state.statuses.has(chip.dataset.status)));
    }
  });
}

function showFigures(run) {
  const figure = (term, value, note) =>
    byId("figures").append(make("div", {}, make("dt", {}, term), make("dd", {}, value, make("small", {}, note))));
  // The maximum of each type may have been at different times, so it is not added up. Snippets that began and ended at
  // the same moment are counted only in these maxima, not in the chart.
  const many = [...Object.values(run.most), ...data.running.all].reduce((one, other) => Math.max(one, other), 0);
  const kinds = Object.entries(run.most).map(([type, most], _, all) => `${all.length > 1 ? "up to " : ""}${number.format(most)} ${type}`);
  const share = run.seconds > 0 ? data.path.seconds / run.seconds : 0;
  figure("Wall time", duration(run.seconds), "of the whole run");
  figure("Critical path", duration(data.path.seconds), `${percent(share)} of the time, ${plural(data.path.tasks, "task")}`);
  figure("Most at once", number.format(many), kinds.join(", ") || "nothing ran");
  figure("On average", run.seconds > 0 ? (run.busy / run.seconds).toFixed(1) : "0", `${duration(run.busy)} of work in all`);
  if (run.cpu > 0) figure("Processor time", duration(run.cpu), "of the commands");
}

function showFailures() {
  const allowed = data.failures.filter((failure) => failure.allowed);
  const failures = data.failures.filter((failure) => !failure.allowed);
  if (allowed.length) {
    byId("allowed").hidden = false;
    showCards(byId("allowed-list"), allowed);
  }
  if (!failures.length && !data.skips.length) return;
  byId("failures").hidden = false;
  byId("to-failures").hidden = false;
  const title = failures.length ? "Failures" : "Skipped";
  byId("failures-title").textContent = title;
  byId("to-failures").textContent = title;
  for (const skip of data.skips) {
    byId("skips").append(make("li", {}, make("strong", {}, `${number.format(skip.count)} skipped`), ": ",
      skip.row === null ? skip.reason : make("button",
        { type: "button", class: "task-link", onclick: () => view.change({ selected: skip.row }) }, skip.reason)));
  }
  showCards(byId("failure-list"), failures);
}

function showCards(list, failures) {
  list.append(...failures.slice(0, FAILURES_SHOWN).map(failureCard));
  const others = failures.slice(FAILURES_SHOWN);
  if (others.length) {
    const more = make("button", { type: "button", class: "more",
      onclick: () => more.replaceWith(...others.map(failureCard)) }, `Show ${others.length} more`);
    list.append(more);
  }
}

function failureCard(failure) {
  const row = failure.row;
  const status = tasks.status(row);
  const facts = [duration(tasks.seconds(row))];
  if (tasks.attempt(row) > 1) facts.push(`attempt ${tasks.attempt(row)}`);
  if (failure.skips) facts.push(`${plural(failure.skips, "task")} skipped for it`);
  return make("article", { class: `card failure ${failure.allowed ? "allowed" : status}`, "data-row": row },
    make("header", {},
      statusMark(status), make("h3", {}, taskButton(row)),
      make("span", { class: "reason" }, tasks.reason(row) || status),
      make("span", { class: "muted" }, facts.filter(Boolean).join(" · ")), logLink(row)),
    make("pre", { class: "command", "aria-label": tasks.type(row) === "exec" ? "Command" : "Snippet" }, failure.command),
    failure.cwd ? make("p", { class: "muted" }, `in ${failure.cwd}`) : null,
    outputOf(failure));
}

// Returns the last output of a task, with a button that shows all output that was kept.
function outputOf(failure) {
  if (!failure.output) return make("p", { class: "muted" }, "It printed nothing.");
  const lines = failure.output.split("\n");
  const output = make("pre", { class: "output", tabindex: "0", "aria-label": "Output" });
  const shown = (many) => {
    output.textContent = lines.slice(-many).join("\n");
    output.scrollTop = output.scrollHeight;
  };
  shown(OUTPUT_LINES);
  if (lines.length <= OUTPUT_LINES) {
    return make("div", {}, failure.cut ? make("p", { class: "muted" }, "The end of its output:") : null, output);
  }
  const all = failure.cut ? `the last ${lines.length} lines` : `all ${lines.length} lines`;
  const more = make("button", { type: "button", class: "more", "aria-expanded": "false",
    onclick: () => {
      const open = more.getAttribute("aria-expanded") === "true";
      more.setAttribute("aria-expanded", String(!open));
      more.textContent = open ? `Show ${all}` : `Show the last ${OUTPUT_LINES} lines`;
      shown(open ? OUTPUT_LINES : lines.length);
    } }, `Show ${all}`);
  return make("div", {}, more, output);
}

function showPath() {
  const path = data.path;
  if (!path.tasks) {
    byId("path-sentence").textContent = "Nothing ran.";
    return;
  }
  byId("path-sentence").textContent = ["Each of these tasks depends on the task before it.",
    `With any number of slots the run takes at least ${duration(path.seconds)}, unless one of these tasks gets faster.`,
    ...pathRest(path)].join(" ");
  const longest = [...path.rows].sort((a, b) => tasks.seconds(b) - tasks.seconds(a));
  const most = longest.length ? tasks.seconds(longest[0]) : 0;
  const listed = new Set(longest.slice(0, PATH_LISTED));
  for (const row of path.rows) {
    if (!listed.has(row)) continue;
    const fill = make("span", { class: `fill ${tasks.status(row)}` });
    fill.style.width = `${most > 0 ? Math.max(100 * tasks.seconds(row) / most, 0.4) : 0}%`;
    const held = tasks.heldBy(row);
    byId("path-list").append(make("li", {}, taskButton(row), make("span", { class: "track", "aria-hidden": "true" }, fill),
      make("span", { class: "amount" }, duration(tasks.seconds(row))),
      make("span", { class: "muted" }, held ? `waited ${duration(tasks.wait(row))} for ${held}` : "")));
  }
  if (path.tasks > listed.size) {
    byId("path-list").append(make("li", { class: "muted" },
      `and ${plural(path.tasks - listed.size, "more task")} between them, none of which took longer`));
  }
}

// Returns sentences about the time that the critical path does not explain.
function pathRest(path) {
  const said = [];
  if (path.retried >= NOTABLE_WAIT) said.push(`Failed attempts took ${duration(path.retried)} of that.`);
  if (path.waited >= NOTABLE_WAIT) said.push(`Waiting added ${duration(path.waited)}.`);
  if (path.seconds > 0.9 * data.run.seconds) said.push("More slots would not help.");
  return said;
}
