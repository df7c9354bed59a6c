// The chart of how many tasks ran at once, drawn by uPlot above the timeline and over the same range of time.
"use strict";

// Pixels left of the beginning of time, in the chart and in the timeline.
const GUTTER = 64;

function clock(seconds, step) {
  if (seconds >= 3600 && step >= 60) {
    return `${Math.floor(seconds / 3600)}:${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} h`;
  }
  if (step < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (step < 1 && seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  return `${Number(seconds.toFixed(step < 0.01 ? 3 : step < 0.1 ? 2 : step < 1 ? 1 : 0))} s`;
}

// Draws the chart. ``onZoom``: called with the range that the user selects. Returns an object that sets the shown range.
function makeChart(onZoom) {
  const element = byId("chart");
  // As wide as the timeline below, which may have a scroll bar.
  const width = () => byId("timeline-scroll").clientWidth;
  const types = Object.keys(data.running).filter((type) => type !== "all");
  const parts = types.length ? data.running.all.length : 0;
  if (!parts || !(data.run.seconds > 0)) {
    element.remove();
    return { setRange() {} };
  }
  const times = Array.from({ length: parts + 1 }, (_, part) => part * data.run.seconds / parts);
  // The series of the second type covers the lower part of the series of both types together. What remains visible of
  // that is the first type.
  const values = types.map((type, index) => [...data.running[index ? type : "all"], 0]);
  let chart = null;
  let range = [0, data.run.seconds];

  function draw() {
    if (chart) chart.destroy();
    const axis = { stroke: colours.muted, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false },
      font: "12px system-ui, sans-serif" };
    chart = new uPlot({
      width: width(),
      height: 120,
      padding: [8, 0, 8, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: { x: { time: false, range: () => range }, y: { range: (self, low, high) => [0, Math.max(high, 1) * 1.05] } },
      axes: [
        { ...axis, show: false },
        { ...axis, size: GUTTER, space: 24, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000],
          values: (self, splits) => splits.map((split) => number.format(split)) },
      ],
      series: [{}, ...types.map((type) => ({
        label: type, stroke: colours[type], fill: colours[`${type}-fill`], width: 1.5,
        paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }))],
      hooks: { setSelect: [(self) => {
        if (self.select.width < 3) return;
        const from = self.posToVal(self.select.left, "x");
        onZoom(from, self.posToVal(self.select.left + self.select.width, "x"));
        self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
      setCursor: [(self) => showCursor(self)] },
    }, [times, ...values], element);
    chart.over.addEventListener("mouseleave", () => tip.hide());
    chart.over.addEventListener("dblclick", () => onZoom(0, data.run.seconds));
  }

  function showCursor(self) {
    const index = self.cursor.idx;
    if (index === null || index === undefined || self.cursor.left < 0) return;
    const box = self.over.getBoundingClientRect();
    tip.show(box.left + self.cursor.left, box.top + 8,
      [`at ${duration(times[index])}`, ...types.map((type) => `${number.format(data.running[type][index] || 0)} ${type}`)]);
  }

  draw();
  onColours(draw);
  new ResizeObserver(framed(() => chart.setSize({ width: width(), height: 120 }))).observe(element);
  return {
    setRange(from, to) {
      range = [from, to];
      chart.setScale("x", { min: from, max: to });
    },
  };
}

// The box that follows the mouse. The first line is the title.
const tip = (() => {
  const box = byId("tip");
  return {
    show(x, y, lines) {
      box.replaceChildren(...lines.map((line, index) => make(index ? "span" : "strong", {}, line)));
      box.hidden = false;
      const left = Math.min(x + 14, document.documentElement.clientWidth - box.offsetWidth - 8);
      const above = y + 18 + box.offsetHeight > innerHeight;
      box.style.left = `${Math.max(left, 4)}px`;
      box.style.top = `${above ? y - box.offsetHeight - 12 : y + 18}px`;
    },
    hide() {
      box.hidden = true;
    },
  };
})();

function tipLines(row) {
  const lines = [tasks.name(row)];
  const reason = tasks.reason(row);
  lines.push(`${tasks.status(row)}${reason ? `: ${reason}` : ""}`);
  if (tasks.ran(row)) {
    lines.push(`${duration(tasks.seconds(row))}, from ${duration(tasks.began(row))} to ${duration(tasks.ended(row))}`);
    if (tasks.worker(row)) lines.push(`on worker ${tasks.worker(row)}`);
    const held = tasks.heldBy(row);
    if (held) lines.push(`waited ${duration(tasks.wait(row))} for ${held}`);
    if (tasks.cpu(row) !== null) lines.push(`${duration(tasks.cpu(row))} of processor time`);
    if (tasks.peak(row) !== null) lines.push(`at most ${bytes(tasks.peak(row))} of memory`);
    if (tasks.onPath(row)) lines.push("on the critical path");
  }
  return lines;
}
