// The drawing of the dependencies: dagre computes the layout, SVG shows it.
"use strict";

const graph = (() => {
  const frame = byId("graph-frame");
  const LINE = 30;
  const WIDEST = 260;
  const TALLEST = 620;
  // Smallest scale at which names are readable.
  const READABLE = 0.7;
  let svg = null;
  let size = { width: 0, height: 0 };
  // The visible part: its top left corner, and the pixels per unit.
  let seen = { x: 0, y: 0, scale: 1 };
  const boxes = [];

  function statusOf(node) {
    return ["failed", "interrupted", "ok", "skipped"].find((status) => node.counts[status]) || "skipped";
  }

  const countOf = (node) => Object.values(node.counts).reduce((sum, count) => sum + count, 0);

  function captionOf(node) {
    const count = countOf(node);
    if (count === 1) return "";
    const bad = STATUSES.slice(1).filter((status) => node.counts[status]);
    return [plural(count, "task"), ...bad.map((status) => `${number.format(node.counts[status])} ${status}`)].join(", ");
  }

  function layOut(nodes, edges) {
    const large = nodes.length > 100;
    const laid = new dagre.graphlib.Graph();
    laid.setGraph({ rankdir: "LR", nodesep: 10, ranksep: 44, edgesep: 6, marginx: 12, marginy: 12,
      // The best ranker for small graphs takes seconds for large ones.
      ranker: large ? "tight-tree" : "network-simplex" });
    laid.setDefaultEdgeLabel(() => ({}));
    const drawn = new Set(edges.flatMap(([a, b]) => [a, b]));
    for (const index of drawn) laid.setNode(String(index), { width: nodes[index].width, height: nodes[index].height });
    for (const [a, b] of edges) laid.setEdge(String(a), String(b));
    dagre.layout(laid, { disableOptimalOrderHeuristic: large });
    const bounds = { width: drawn.size ? laid.graph().width : 12, height: drawn.size ? laid.graph().height : 0 };
    placeTheRest(nodes, drawn, bounds);
    for (const index of drawn) Object.assign(nodes[index], laid.node(String(index)));
    const lines = edges.map(([a, b, onPath]) => ({ a, b, onPath, points: laid.edge(String(a), String(b)).points }));
    return { bounds, lines };
  }

  // Puts nodes without any edge into rows below the others.
  function placeTheRest(nodes, drawn, bounds) {
    const widest = Math.max(bounds.width, frame.clientWidth / 0.9);
    let x = 12;
    let y = bounds.height + (drawn.size ? 14 : 12);
    for (const [index, node] of nodes.entries()) {
      if (drawn.has(index)) continue;
      if (x > 12 && x + node.width + 12 > widest) {
        x = 12;
        y += LINE + 26;
      }
      Object.assign(node, { x: x + node.width / 2, y: y + node.height / 2 });
      x += node.width + 10;
      bounds.width = Math.max(bounds.width, x + 2);
      bounds.height = y + node.height + 12;
    }
  }

  function measured(nodes) {
    const context = make("canvas").getContext("2d");
    context.font = "13px system-ui, sans-serif";
    return nodes.map((node) => {
      const caption = captionOf(node);
      let label = node.label;
      const wide = (text) => context.measureText(text).width;
      if (wide(label) > WIDEST - 40) {
        // Cut in the middle: names differ at their end as often as at their beginning.
        const half = Math.floor(label.length * (WIDEST - 50) / wide(label) / 2);
        label = `${label.slice(0, half)}…${label.slice(-half)}`;
      }
      const width = Math.max(wide(label), wide(caption) * 0.88) + 40;
      return { ...node, label, full: node.label, caption, width, height: caption ? LINE + 14 : LINE };
    });
  }

  function draw() {
    const nodes = measured(data.graph.nodes);
    const { bounds, lines } = layOut(nodes, data.graph.edges);
    const onPath = new Set(data.graph.path);
    size = bounds;
    svg = makeSvg("svg", { class: "graph", role: "presentation" });
    for (const line of lines.sort((a, b) => a.onPath - b.onPath)) {
      svg.append(makeSvg("path", { d: curve(nodes[line.a], nodes[line.b], line.points),
        class: line.onPath ? "edge path" : "edge",
        "data-from": line.a, "data-to": line.b }));
    }
    const rows = rowsOfGroups(nodes.length);
    nodes.forEach((node, index) => svg.append(boxOf(node, index, rows[index], onPath.has(index))));
    frame.append(svg);
    fit(READABLE);
  }

  // Returns the path from the right side of the dependency to the left side of the dependent, through the given points.
  function curve(from, to, points) {
    let { x, y } = { x: from.x + from.width / 2, y: from.y };
    let path = `M${x},${y}`;
    // The first and the last point are on the boxes' edges. The middle point of a short line adds nothing.
    const between = points.length > 3 ? points.slice(1, -1) : [];
    for (const next of [...between, { x: to.x - to.width / 2, y: to.y }]) {
      const middle = (x + next.x) / 2;
      path += `C${middle},${y} ${middle},${next.y} ${next.x},${next.y}`;
      ({ x, y } = next);
    }
    return path;
  }

  // Returns, by group, the row of its task if the group has only one task, otherwise null.
  function rowsOfGroups(many) {
    const rows = new Array(many).fill(null);
    for (let row = 0; row < tasks.count; row++) {
      const group = tasks.group(row);
      if (countOf(data.graph.nodes[group]) === 1) rows[group] = row;
    }
    return rows;
  }

  function boxOf(node, index, row, onPath) {
    const status = statusOf(node);
    const box = makeSvg("g", { class: `node ${status}${onPath ? " path" : ""}`, tabindex: "0", role: "button",
      transform: `translate(${node.x - node.width / 2},${node.y - node.height / 2})`,
      "aria-label": [node.full, node.caption || status, onPath ? "on the critical path" : ""].filter(Boolean).join(", ") });
    const label = makeSvg("text", { x: 28, y: 20 });
    label.textContent = node.label;
    const mark = makeSvg("text", { x: 10, y: 20, class: "mark" });
    mark.textContent = MARKS[status];
    box.append(makeSvg("rect", { width: node.width, height: node.height, rx: countOf(node) > 1 ? 3 : 7 }), mark, label);
    if (node.caption) {
      const caption = makeSvg("text", { x: 28, y: 36, class: "caption" });
      caption.textContent = node.caption;
      box.append(caption);
    }
    const choose = () => {
      if (row !== null) return view.change({ selected: row });
      view.change({ group: view.state.group === index ? null : index });
      byId("tasks").scrollIntoView();
    };
    box.addEventListener("click", choose);
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose();
    });
    box.addEventListener("pointermove", (event) => tip.show(event.clientX, event.clientY,
      row === null ? [node.full, node.caption || status] : tipLines(row)));
    box.addEventListener("pointerleave", () => tip.hide());
    boxes.push({ box, index, node });
    return box;
  }

  // Brings a group into view that the user chose elsewhere on the page.
  function reveal({ x, y }) {
    const width = frame.clientWidth / seen.scale;
    const height = frame.clientHeight / seen.scale;
    if (x > seen.x && x < seen.x + width && y > seen.y && y < seen.y + height) return;
    Object.assign(seen, { x: x - width / 2, y: y - height / 2 });
    show();
  }

  // Highlights the chosen group, and dims groups that the search does not find.
  function highlight(changes) {
    const { selected, group } = view.state;
    const matches = view.filtered() ? view.matches() : null;
    const found = new Set();
    if (matches) for (let row = 0; row < tasks.count; row++) if (matches[row]) found.add(tasks.group(row));
    const chosen = selected === null ? group : tasks.group(selected);
    if (typeof changes.selected === "number") reveal(boxes[chosen].node);
    for (const { box, index } of boxes) {
      box.classList.toggle("dim", matches !== null && !found.has(index));
      box.classList.toggle("chosen", index === chosen);
    }
    for (const edge of svg.querySelectorAll(".edge")) {
      edge.classList.toggle("chosen", chosen !== null && (Number(edge.dataset.from) === chosen || Number(edge.dataset.to) === chosen));
    }
  }

  function show() {
    const width = frame.clientWidth / seen.scale;
    const height = frame.clientHeight / seen.scale;
    svg.setAttribute("viewBox", `${seen.x} ${seen.y} ${width} ${height}`);
  }

  // Shows the whole drawing if its scale is at least ``least``. Otherwise shows, at that scale, the part around a failed
  // task, or around the critical path if no task failed.
  function fit(least) {
    const scale = Math.min(frame.clientWidth / size.width, TALLEST / size.height, 1);
    seen.scale = Math.max(scale, least);
    frame.style.height = `${Math.min(Math.max(size.height * seen.scale, 60), TALLEST)}px`;
    const width = frame.clientWidth / seen.scale;
    const height = frame.clientHeight / seen.scale;
    const { x, y } = boxes.find(({ node }) => node.counts.failed)?.node || boxes[data.graph.path[0] || 0].node;
    seen.x = size.width <= width ? (size.width - width) / 2 : Math.min(Math.max(x - width / 2, 0), size.width - width);
    seen.y = size.height <= height ? (size.height - height) / 2 : Math.min(Math.max(y - height / 2, 0), size.height - height);
    show();
  }

  function zoom(factor, x = frame.clientWidth / 2, y = frame.clientHeight / 2) {
    const scale = Math.min(Math.max(seen.scale * factor, 0.05), 3);
    seen.x += x / seen.scale - x / scale;
    seen.y += y / seen.scale - y / scale;
    seen.scale = scale;
    show();
  }

  function move(x, y) {
    const within = (value, most) => Math.min(Math.max(value, -most / 2), most);
    seen.x = within(seen.x + x / seen.scale, size.width);
    seen.y = within(seen.y + y / seen.scale, size.height);
    show();
  }

  function follow() {
    let last = null;
    let moved = 0;
    frame.addEventListener("pointerdown", (event) => {
      last = { x: event.clientX, y: event.clientY };
      moved = 0;
    });
    addEventListener("pointermove", (event) => {
      if (!last || !event.buttons) return;
      moved += Math.abs(event.clientX - last.x) + Math.abs(event.clientY - last.y);
      move(last.x - event.clientX, last.y - event.clientY);
      last = { x: event.clientX, y: event.clientY };
    });
    addEventListener("pointerup", () => { last = null; });
    // A click that ends a drag does not choose the task under the pointer.
    frame.addEventListener("click", (event) => { if (moved > 6) event.stopPropagation(); }, true);
    frame.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = frame.getBoundingClientRect();
      zoom(Math.exp(-Math.sign(event.deltaY) * 0.2), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    frame.addEventListener("keydown", (event) => {
      const actions = { ArrowLeft: () => move(-60, 0), ArrowRight: () => move(60, 0), ArrowUp: () => move(0, -60),
        ArrowDown: () => move(0, 60), "+": () => zoom(1.4), "-": () => zoom(0.7), 0: () => fit(0) };
      if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      actions[event.key]();
    });
    byId("graph-in").addEventListener("click", () => zoom(1.4));
    byId("graph-out").addEventListener("click", () => zoom(0.7));
    byId("graph-fit").addEventListener("click", () => fit(0));
  }

  function sentence() {
    const { nodes, edges, grouped } = data.graph;
    if (!edges.length) return "No task depends on another.";
    if (!grouped) return "Tasks depend on the tasks to their left; implied dependencies are not drawn.";
    return `${number.format(data.run.tasks)} tasks are too many to draw: they are grouped ${grouped}, ` +
      `${plural(nodes.length, "group")} in all. Click a group for the tasks in it.`;
  }

  function start() {
    byId("graph-sentence").textContent = sentence();
    if (!data.graph.nodes.length || (!data.graph.edges.length && data.graph.grouped)) {
      byId("graph-card").remove();
      byId("graph-tools").remove();
      return;
    }
    draw();
    follow();
    if (size.width * seen.scale > frame.clientWidth || size.height * seen.scale > frame.clientHeight) {
      byId("graph-card").after(make("p", { class: "hint" },
        "Only a part of the drawing is visible. Drag to move; hold Ctrl and scroll to zoom; “All” shows all of it."));
    }
    byId("graph-keys").append(...STATUSES.filter((status) => data.run.counts[status])
      .map((status) => make("span", { class: `key ${status}` }, status)),
    ...(data.graph.path.length ? [make("span", { class: "key on-path" }, "critical path")] : []));
    new ResizeObserver(framed(() => show())).observe(frame);
    view.onChange(highlight);
  }

  return { start };
})();
