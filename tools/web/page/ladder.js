// SPDX-License-Identifier: GPL-2.0-or-later
// The ladder: what passed on one control connection, between client, gateway and server, drawn from
// the session's JSON (tools/control/PROTOCOL.md). Live on the page, and in a replay's report.
//
// Every text may be a stranger's: it only ever becomes a text node.
"use strict";

const Format = {
  /// 1536 as "1.5 KiB".
  bytes(count) {
    if (count === null || count === undefined) return "";
    const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    let value = count;
    while (value >= 1024 && at < units.length - 1) {
      value /= 1024;
      at += 1;
    }
    if (at === 0) return count === 1 ? "1 byte" : `${count} bytes`;
    return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
  },

  /// 75 as "1 min 15 s": the two largest units.
  duration(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
    const first = units.findIndex(([, size]) => whole >= size);
    if (first < 0) return "0 s";
    const [name, size] = units[first];
    let text = `${Math.floor(whole / size)} ${name}`;
    const next = units[first + 1];
    if (next) {
      const rest = Math.floor((whole % size) / next[1]);
      if (rest > 0) text += ` ${rest} ${next[0]}`;
    }
    return text;
  },

  number(value) {
    return value === null || value === undefined ? "–" : value.toLocaleString("en");
  },

  /// "14:03:07.250", here or in UTC.
  clock(time, utc) {
    const date = new Date(time * 1000);
    const two = (number) => String(number).padStart(2, "0");
    const parts = utc
        ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), date.getUTCMilliseconds()]
        : [date.getHours(), date.getMinutes(), date.getSeconds(), date.getMilliseconds()];
    return `${parts.slice(0, 3).map(two).join(":")}.${String(parts[3]).padStart(3, "0")}`;
  },
};

/// An element with attributes and children; a child that is no element becomes text.
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

const Ladder = (() => {
  /// Between two rungs this many seconds apart the silence is shown.
  const silence = 5;

  /// What an action and its reason are to somebody who looks for what went wrong.
  const verdict = (rung) => {
    switch (rung.action) {
      case "rewrite": return "rewritten";
      case "refuse": return "refused";
      case "wait": return "held";
      case "forward":
        if (!rung.reason || ["none", "opaque", "plain_again"].includes(rung.reason)) return "plain";
        return rung.reason === "expected" ? "let-in" : "not-opened";
      default: return "plain";
    }
  };

  const words = {
    "rewritten": "Rewritten",
    "refused": "Refused",
    "held": "Has to come again",
    "let-in": "Let in as it is",
    "not-opened": "Not opened",
  };

  const isInWord = (text, at) => at >= 0 && at < text.length && /[0-9A-Za-z]/.test(text[at]);

  /// Where two texts differ: how long their common beginning and end are, in whole words.
  const difference = (one, other) => {
    const shorter = Math.min(one.length, other.length);
    let begin = 0;
    while (begin < shorter && one[begin] === other[begin]) begin += 1;
    let end = 0;
    while (end < shorter - begin && one[one.length - 1 - end] === other[other.length - 1 - end]) end += 1;
    while (isInWord(one, begin - 1) && (isInWord(one, begin) || isInWord(other, begin))) begin -= 1;
    while (end > 0 && isInWord(one, one.length - end) &&
           (isInWord(one, one.length - end - 1) || isInWord(other, other.length - end - 1))) end -= 1;
    return {begin, end};
  };

  /// A line, with what is different in it marked.
  const lineText = (text, {begin, end}, kind) => {
    const code = element("code");
    if (begin === undefined) {
      code.append(text);
      return code;
    }
    code.append(text.slice(0, begin), element("mark", {class: kind}, text.slice(begin, text.length - end)),
                text.slice(text.length - end));
    return code;
  };

  const hidden = (text) => element("span", {class: "unseen"}, text);

  const arrow = (towards, kind) => element("span", {class: `arrow ${towards} ${kind}`, "aria-hidden": "true"});

  /// From one column to the next, or over both.
  const lane = (span, from, to, content, kind) => {
    const towards = to === "server" || (to === "gateway" && from === "client") ? "rightwards" : "leftwards";
    return element("div", {class: `lane ${span}`}, hidden(`${from} to ${to}: `), content, arrow(towards, kind));
  };

  const expectationText = (expectation) => {
    const destination = expectation.destination.includes(":") ? `[${expectation.destination}]` : expectation.destination;
    let text = `${expectation.source} may connect to ${destination}:${expectation.port}`;
    if (expectation.maps_to && expectation.maps_to !== `${destination}:${expectation.port}`) {
      text += `, which leads to ${expectation.maps_to}`;
    }
    return text;
  };

  const why = (rung, kind) => {
    if (kind === "plain" && !rung.text) return null;
    const note = element("p", {class: "why"});
    if (words[kind]) note.append(element("strong", {}, words[kind]));
    const sentence = kind === "rewritten" ? null : rung.text;
    if (sentence) note.append(words[kind] ? `: ${sentence}` : sentence);
    if (rung.expectation) {
      note.append(words[kind] || sentence ? ": " : "", expectationText(rung.expectation));
    }
    return note;
  };

  const lineLanes = (rung, kind) => {
    const sides = rung.from === "server" ? ["server", "client"] : ["client", "server"];
    const [from, to] = sides;
    const nearSpan = from === "client" ? "left" : "right";
    const farSpan = from === "client" ? "right" : "left";
    const changed = rung.after !== rung.before && rung.after !== "";
    const lanes = element("div", {class: "lanes"});
    if (kind === "held") {
      lanes.append(lane(nearSpan, from, "gateway", lineText(rung.before, {}), kind));
    } else if (changed) {
      const places = difference(rung.before, rung.after);
      const near = lane(nearSpan, from, "gateway", lineText(rung.before, places, "before"), kind);
      const far = lane(farSpan, "gateway", to, lineText(rung.after, places, "after"), kind);
      lanes.append(near, far);
    } else {
      lanes.append(lane("both", from, to, lineText(rung.before, {}), kind));
    }
    if (kind !== "plain") lanes.append(element("span", {class: `node ${kind}`, "aria-hidden": "true"}));
    return lanes;
  };

  /// Who opens the data connection, and which way the bytes go, as the lines before tell.
  const dataWays = (ladder, at) => {
    const ways = {opener: null, sender: null};
    for (let index = at - 1; index >= 0 && (!ways.opener || !ways.sender); index -= 1) {
      const rung = ladder[index];
      if (rung.kind !== "line") continue;
      if (!ways.opener && rung.expectation) ways.opener = rung.from === "client" ? "server" : "client";
      if (!ways.sender && rung.from === "client") {
        const verb = rung.before.trim().split(" ")[0].toUpperCase();
        if (["RETR", "LIST", "NLST", "MLSD"].includes(verb)) ways.sender = "server";
        if (["STOR", "STOU", "APPE"].includes(verb)) ways.sender = "client";
      }
    }
    return ways;
  };

  const dataLanes = (rung, ways, drawsBytes) => {
    const from = (drawsBytes ? ways.sender : ways.opener) || "server";
    const to = from === "server" ? "client" : "server";
    const label = element("span", {class: "data-label"});
    if (drawsBytes) label.append(element("strong", {}, Format.bytes(rung.bytes)), " ");
    label.append(rung.text || "data connection");
    return element("div", {class: "lanes"}, lane("both", from, to, label, "data"));
  };

  const rungItem = (ladder, at, options) => {
    const rung = ladder[at];
    const time = element("time", {datetime: new Date(rung.time * 1000).toISOString()},
                         Format.clock(rung.time, options.utc));
    // What was decided about a line that did not pass whole is a note, with the line.
    if (rung.kind === "note" && !(rung.action && rung.before)) {
      const kind = rung.action ? verdict(rung) : "plain";
      return element("li", {class: `rung note ${kind}`}, time,
                     element("div", {class: "lanes"}, element("p", {class: "note-text"}, rung.text || rung.before)));
    }
    if (rung.kind === "data") {
      const drawsBytes = rung.bytes > 0;
      return element("li", {class: "rung data"}, time, dataLanes(rung, dataWays(ladder, at), drawsBytes));
    }
    const kind = verdict(rung);
    const lanes = lineLanes(rung, kind);
    const note = why(rung, kind);
    if (note) lanes.append(note);
    return element("li", {class: `rung line ${kind} from-${rung.from}`}, time, lanes);
  };

  const silenceItem = (seconds) => element(
      "li", {class: "rung silence"}, element("span"),
      element("div", {class: "lanes"}, element("p", {class: "note-text"}, `${Format.duration(seconds)} of silence`)));

  const items = (ladder, options) => {
    const result = [];
    ladder.forEach((rung, at) => {
      const pause = at > 0 ? rung.time - ladder[at - 1].time : 0;
      if (pause >= silence) result.push({key: `silence ${ladder[at].time}`, make: () => silenceItem(pause)});
      const ways = rung.kind === "data" ? JSON.stringify(dataWays(ladder, at)) : "";
      result.push({key: JSON.stringify(rung) + ways, make: () => rungItem(ladder, at, options)});
    });
    return result;
  };

  const column = (title, lines) => {
    const head = element("div", {class: "column"}, element("strong", {}, title));
    for (const line of lines.filter((text) => text)) head.append(element("span", {}, line));
    return head;
  };

  const columns = (session) => {
    const seen = session.client_as_server_sees;
    const dialled = session.dialled;
    return element(
        "div", {class: "columns"}, element("span"),
        element("div", {class: "column-heads"},
                column("Client", [session.client]),
                column("Gateway", [
                  dialled && dialled !== session.server ? `dialled ${dialled}` : null,
                  seen && seen !== session.client ? `seen as ${seen}` : null,
                ]),
                column("Server", [session.server])));
  };

  /// Draws `session` in `container`, or brings what is drawn there up to date: what has not changed
  /// stays in place.
  const draw = (container, session, options = {}) => {
    const ladder = session.ladder || [];
    const heads = columns(session);
    const old = container.querySelector("ol.ladder");
    const list = old || element("ol", {class: "ladder"});
    if (old) {
      const shown = container.querySelector(".columns");
      if (!shown.isEqualNode(heads)) shown.replaceWith(heads);
    } else {
      container.replaceChildren(heads, list);
    }
    if (ladder.length === 0) {
      list.replaceChildren(element("li", {class: "rung note"}, element("span"),
                                   element("div", {class: "lanes"},
                                           element("p", {class: "note-text"}, "No line has passed yet."))));
      list.keys = [];
      return;
    }
    const wanted = items(ladder, options);
    let keys = list.keys || [];
    if (keys.length === 0) list.replaceChildren();
    // The oldest rungs go as new ones come.
    const begin = Math.max(0, keys.indexOf(wanted[0].key));
    for (let gone = 0; gone < begin; gone += 1) list.firstChild.remove();
    keys = keys.slice(begin);
    wanted.forEach(({key, make}, at) => {
      if (keys[at] === key) return;
      if (at < list.children.length) {
        list.children[at].replaceWith(make());
      } else {
        list.append(make());
      }
    });
    while (list.children.length > wanted.length) list.lastChild.remove();
    list.keys = wanted.map(({key}) => key);
  };

  return {draw, verdict};
})();
