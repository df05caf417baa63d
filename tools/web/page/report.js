// SPDX-License-Identifier: GPL-2.0-or-later
// A replay's report: a ladder for each session, drawn when it is opened.
"use strict";

(() => {
  /// So many are open from the start.
  const open = 10;
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.querySelector("main");
  const plural = (count, noun) => `${Format.number(count)} ${noun}${count === 1 ? "" : "s"}`;

  const day = (time) => new Date(time * 1000).toISOString().slice(0, 10);

  const tags = (session) => {
    const counts = new Map();
    for (const rung of session.ladder) {
      const kind = Ladder.verdict(rung);
      if (kind !== "plain") counts.set(kind, (counts.get(kind) || 0) + 1);
    }
    const names = {
      "rewritten": "rewritten", "let-in": "let in as it is", "not-opened": "opened nothing",
      "held": "to come again", "refused": "refused",
    };
    const made = element("span", {class: "tags"});
    made.append(element("span", {}, `${day(session.began)} ${Format.clock(session.began, true).slice(0, 8)} UTC`));
    if (session.user) made.append(element("span", {}, `user ${session.user}`));
    for (const [kind, name] of Object.entries(names)) {
      if (counts.has(kind)) made.append(element("span", {class: kind}, `${counts.get(kind)} ${name}`));
    }
    return made;
  };

  const section = (session, at) => {
    const place = element("div");
    const made = element(
        "details", {id: `session-${session.id}`, open: at < open ? "" : null},
        element("summary", {}, element("h2", {}, `${session.client} to ${session.dialled}`), tags(session)));
    if (session.hint) made.append(element("p", {class: "hint"}, session.hint));
    if (session.forgotten) {
      made.append(element("p", {class: "hint"}, `${plural(session.forgotten, "earlier line")} left out.`));
    }
    made.append(place);
    const draw = () => {
      if (made.open && !place.hasChildNodes()) Ladder.draw(place, session, {utc: true});
    };
    made.addEventListener("toggle", draw);
    draw();
    return made;
  };

  const title = `FTP sessions of ${data.capture}`;
  document.title = title;
  document.getElementById("title").textContent = title;
  const about = document.getElementById("about");
  about.textContent = `${plural(data.sessions.length, "session")} in ${plural(data.packets, "packet")}, as a gateway ` +
      `with ${data.nat} would have served ${data.sessions.length === 1 ? "it" : "them"}. Times are in UTC.`;
  if (data.left_out) about.textContent += ` ${plural(data.left_out, "session")} more would be too much for one page.`;
  document.getElementById("made").textContent = `Made by ftpalg ${data.version} with ftpalg replay --html. ` +
      "Passwords are not in this file; names and addresses are.";
  main.append(...data.sessions.map(section));
  if (data.sessions.length === 0) main.append(element("p", {}, "No control connection is in it."));

  // What is printed is what is open; nobody prints what is folded without having asked for it.
  window.addEventListener("hashchange", () => {
    const wanted = document.getElementById(location.hash.slice(1));
    if (wanted) wanted.open = true;
  });
})();
