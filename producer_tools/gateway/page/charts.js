// Two small charts of the last hour: how many jobs ended each minute, and how many were unsettled.

import { at, setText, svg } from "./dom.js";
import { count, minute } from "./format.js";

const WIDTH = 600;
const HEIGHT = 140;
const TOP = 18;
const MINUTES = 60;
const LEAST = 6; // so high is a single failure among many jobs that are done

/** Draw both charts. */
export function drawCharts(store) {
  store.minute();
  const minutes = store.minutes;
  const now = minutes.at(-1);
  drawRate(minutes);
  drawLag(minutes);
  const last = minutes.at(-2);
  setText(at("rate-now"), last ? `${count(ended(last))} last minute` : "");
  setText(at("lag-now"), `${count(now.unsettled)} now`);
}

function ended({ completed, failed, cancelled }) {
  return completed + failed + cancelled;
}

function drawRate(minutes) {
  const most = Math.max(1, ...minutes.map(ended));
  const bars = minutes.flatMap((each, index) => {
    const floor = y(0, most);
    const failed = each.failed ? Math.min(y(each.failed, most), floor - LEAST) : floor;
    return [
      bar("done", index, minutes.length, y(ended(each), most), failed),
      bar("failed", index, minutes.length, failed, floor),
    ].filter(Boolean);
  });
  const chart = at("rate");
  const peak = minutes.find((each) => ended(each) === most);
  chart.replaceChildren(
    svg("title", {}, `Jobs ended each minute of the last hour; at most ${count(most)}${at_(peak)}.`),
    ...frame(most),
    ...bars,
  );
}

function bar(kind, index, length, top, bottom) {
  if (bottom - top < 0.5) return null;
  const [left, width] = [x(index, length) + 1, WIDTH / MINUTES - 2];
  return svg("rect", { class: kind, x: left, y: top, width, height: bottom - top });
}

function drawLag(minutes) {
  const values = minutes.map((each) => each.unsettled);
  const most = Math.max(1, ...values);
  const points = values.map((value, index) => `${x(index + 0.5, values.length)},${y(value, most)}`);
  const [first, last] = [x(0.5, values.length), x(values.length - 0.5, values.length)];
  const floor = y(0, most);
  const peak = minutes.find((each) => each.unsettled === most);
  at("lag").replaceChildren(
    svg("title", {}, `Jobs waiting or under way in the last hour; at most ${count(most)}${at_(peak)}.`),
    ...frame(most),
    svg("polygon", { class: "area", points: `${first},${floor} ${points.join(" ")} ${last},${floor}` }),
    svg("polyline", { class: "line-of", points: points.join(" ") }),
  );
}

function at_(peak) {
  return peak ? ` at ${minute(Date.parse(peak.at))}` : "";
}

/** Return the chart's floor, and its height with its number. */
function frame(most) {
  return [
    svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: TOP, y2: TOP }),
    svg("line", { class: "grid floor", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }),
    svg("text", { class: "scale", x: 0, y: TOP - 5 }, count(most)),
  ];
}

/** The place of a minute: the last one is at the right edge. */
function x(index, length) {
  return ((index + MINUTES - length) * WIDTH) / MINUTES;
}

function y(value, most) {
  return HEIGHT - 1 - (value / most) * (HEIGHT - 1 - TOP);
}
