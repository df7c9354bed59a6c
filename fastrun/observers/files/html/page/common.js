// Small helpers for elements, numbers and colours. Text from the run is only ever set as textContent.
"use strict";

function byId(id) {
  return document.getElementById(id);
}

// Returns an element with attributes, event handlers and children. Strings become text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const number = new Intl.NumberFormat("en");

function plural(count, word) {
  return `${number.format(count)} ${word}${count === 1 ? "" : "s"}`;
}

// Returns seconds as a text for people: 84 µs, 3.1 ms, 2.04 s, 3 min 12 s, 2 h 5 min.
function duration(seconds) {
  if (seconds === null) return "";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.1) return `${trimmed(seconds * 1000)} ms`;
  if (seconds < 99.95) return `${trimmed(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function trimmed(value) {
  return value.toFixed(value < 10 ? 2 : 1);
}

function bytes(count) {
  if (count === null) return "";
  let value = count / 1024;
  for (const unit of ["KiB", "MiB", "GiB"]) {
    if (value < 1000 || unit === "GiB") return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
    value /= 1024;
  }
  return "";
}

function percent(share) {
  return `${share > 0 && share < 0.01 ? "<1" : Math.round(share * 100)} %`;
}

// The page's colours, for drawing on a canvas. They change when the system changes to dark or light.
const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "muted", "grid", "path", "on-path", "failed", "failed-soft", "on-failed", "interrupted", "exec",
    "exec-fill", "eval", "eval-fill"];
  for (const name of names) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
readColours();

function onColours(redraw) {
  dark.addEventListener("change", () => {
    readColours();
    redraw();
  });
}

// Gives a canvas the resolution of the screen. Returns its context, scaled to CSS pixels.
function sized(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

// Returns a function that calls ``work`` at most once per frame.
function framed(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
