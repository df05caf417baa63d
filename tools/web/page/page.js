// SPDX-License-Identifier: GPL-2.0-or-later
// The page: asks for what there is every two seconds while somebody looks at it, and shows it.
"use strict";

(() => {
  const interval = 2000;
  const patience = 5000;
  const by = (id) => document.getElementById(id);
  const main = document.querySelector("main");
  const form = by("filter");

  let isPaused = false;
  let timer = null;
  let asking = null;  ///< the round of questions that is under way
  let chosen = "";
  let latestTime = 0;  ///< as the gateway tells it, which may not be what this machine does

  // ---- small things

  const setText = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  const endsWithPort = /:\d+$/;
  const host = (endpoint) => endpoint.replace(endsWithPort, "");

  const ago = (time) => Format.duration(latestTime - time);

  /// Puts `children` into `parent` where they are not there yet; what is the same keeps its place,
  /// and so its focus.
  const renew = (parent, children) => {
    children.forEach((child, at) => {
      const old = parent.children[at];
      if (!old) parent.append(child);
      else if (!old.isEqualNode(child)) old.replaceWith(child);
    });
    while (parent.children.length > children.length) parent.lastElementChild.remove();
  };

  // ---- asking

  const get = async (path, signal) => {
    const response = await fetch(path, {signal, cache: "no-store"});
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const error = new Error(answer.error || `the gateway's page answers ${response.status}`);
    error.status = response.status;
    throw error;
  };

  const sessionsPath = () => {
    const parameters = new URLSearchParams();
    for (const name of ["address", "user"]) {
      const value = form.elements[name].value.trim();
      if (value) parameters.set(name, value);
    }
    const show = form.elements.show.value;
    if (show === "hint") parameters.set("stuck", "1");
    if (show === "") parameters.set("ended", "1");
    return `/api/sessions?${parameters}`;
  };

  const showTrouble = (text) => {
    const trouble = by("trouble");
    trouble.hidden = !text;
    setText(trouble, text || "");
    document.body.classList.toggle("stale", Boolean(text));
  };

  /// What a wrong filter or a session that is gone brings is no trouble with the gateway.
  const orRefusal = (promise) => promise.catch((error) => {
    if (error.status === 400) return {refusal: error.message};
    throw error;
  });

  const round = async () => {
    clearTimeout(timer);
    if (asking) asking.abort();
    const here = new AbortController();
    asking = here;
    const late = setTimeout(() => here.abort("late"), patience);
    try {
      const [status, sessions, session, events] = await Promise.all([
        get("/api/status", here.signal),
        orRefusal(get(sessionsPath(), here.signal)),
        chosen ? orRefusal(get(`/api/session?${new URLSearchParams({id: chosen})}`, here.signal)) : null,
        orRefusal(get("/api/events", here.signal)),
      ]);
      if (asking !== here) return;
      showTrouble("");
      show(status.status, sessions, session, events);
    } catch (error) {
      if (asking !== here) return;
      const isAbout = error.status ? error.message : "there is no answer from the gateway's page";
      showTrouble(`Not up to date: ${isAbout}. It is asked again.`);
    } finally {
      clearTimeout(late);
      if (asking === here) {
        asking = null;
        schedule();
      }
    }
  };

  const schedule = () => {
    clearTimeout(timer);
    if (!isPaused && !document.hidden) timer = setTimeout(round, interval);
  };

  // ---- at a glance

  const isHarmless = (reason) => ["none", "rewritten", "expected", "opaque", "plain_again"].includes(reason);
  const refusals = (status) => (status.decisions || []).filter(({reason}) => !isHarmless(reason));

  const figure = (name, value, more, kind) => {
    const made = element("div", {class: kind},
                         element("dt", {}, name), element("dd", {class: "value"}, value));
    if (more) made.append(element("dd", {class: "more"}, more));
    return made;
  };

  const perSecond = (rate) => rate === null || rate === undefined
      ? null : `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`;

  const sum = (list, key) => list.reduce((total, each) => total + (each[key] || 0), 0);

  const showFigures = (status) => {
    const sessions = status.sessions || {};
    const transfers = status.transfers || {};
    const expectations = status.expectations || {};
    const rates = status.rates || {};
    const queues = status.queues || [];
    const unread = sum(queues, "unread");
    const refused = sum(refusals(status), "count");
    const failed = transfers.failed || 0;
    renew(by("figures"), [
      figure("sessions now", Format.number(sessions.now),
             `${Format.number(sessions.begun)} since the start` +
                 (sessions.encrypted_now ? `, ${sessions.encrypted_now} encrypted` : "")),
      figure("data connections open", Format.number(transfers.now),
             `${Format.number(expectations.now)} more expected`),
      figure("transfers done", Format.number(transfers.done),
             failed ? `${Format.number(failed)} failed` : "none failed", failed ? "warn" : null),
      figure("transferred", transfers.bytes === null || transfers.bytes === undefined
                 ? "–" : Format.bytes(transfers.bytes)),
      figure("packets read", perSecond(rates.packets) || "–",
             `${Format.number(sum(queues, "packets"))} since the start`),
      figure("packets unread", Format.number(unread), unread ? "queue was full" : "queues have room",
             unread ? "bad" : null),
      figure("refused", Format.number(refused), "lines that opened nothing", refused ? "warn" : null),
    ]);
  };

  const showGateway = (status) => {
    const rules = status.rules || {};
    const kind = rules.state === "in place" ? "ok" : rules.state === "incomplete" ? "error" : "";
    renew(by("gateway"), [
      element("span", {}, `${status.version || ""} running for ${Format.duration(status.uptime || 0)}`),
      element("span", {class: `state ${kind}`}, `rules ${rules.state || "unknown"}`),
      ...(status.kernel && status.kernel.release ? [element("span", {}, `Linux ${status.kernel.release}`)] : []),
    ]);
  };

  // ---- sessions

  const stateOf = (session) => element(
      "span", {class: `state ${session.hint ? "trouble" : session.state.replace(" ", "-")}`},
      session.state);

  const dataOf = (session) => {
    const data = session.data;
    if (!data) return [session.transfers ? `${Format.number(session.transfers)} done` : "–"];
    const carried = (data.to_client || 0) + (data.to_server || 0);
    const parts = [element("span", {class: `state ${data.state}`}, `${data.mode} ${data.state}`)];
    const more = [];
    if (carried) more.push(Format.bytes(carried));
    if (session.transfers) more.push(`${Format.number(session.transfers)} transfers`);
    if (more.length) parts.push(element("span", {class: "second"}, more.join(", ")));
    return parts;
  };

  const row = (session) => {
    const isDialled = session.dialled && session.dialled !== session.server;
    const made = element("tr", {"data-id": session.id});
    made.append(
        element("td", {},
                element("a", {href: `#${session.id}`, "aria-current": session.id === chosen ? "true" : null},
                        session.id),
                element("br"), stateOf(session)),
        element("td", {},
                element("span", {class: "mono"}, session.client),
                element("span", {class: "second mono"}, `to ${session.server}`),
                isDialled ? element("span", {class: "second mono wide"}, `as ${session.dialled}`) : null),
        element("td", {class: "wide mono"}, session.user || "–"),
        element("td", {class: "wide mono"}, session.last_command ? session.last_command.text : "–"),
        element("td", {}, ...dataOf(session)),
        element("td", {class: "number wide"}, `${ago(session.last_seen)} ago`));
    return made;
  };

  /// Rows keep their place in the document as long as their session is there, so that whoever
  /// stands on one by keyboard goes on standing there.
  const showRows = (sessions) => {
    const body = by("sessions").tBodies[0];
    const old = new Map([...body.rows].map((each) => [each.dataset.id, each]));
    let place = body.firstElementChild;
    for (const session of sessions) {
      const fresh = row(session);
      let shown = old.get(session.id);
      old.delete(session.id);
      if (shown) {
        [...fresh.cells].forEach((cell, at) => {
          if (shown.cells[at].isEqualNode(cell)) return;
          const focused = shown.cells[at].contains(document.activeElement);
          shown.cells[at].replaceWith(cell);
          if (focused) cell.querySelector("a").focus({preventScroll: true});
        });
      } else {
        shown = fresh;
      }
      if (shown === place) {
        place = place.nextElementSibling;
      } else {
        body.insertBefore(shown, place);
      }
    }
    old.forEach((gone) => gone.remove());
  };

  const wants = {
    "": () => true,
    "hint": (session) => Boolean(session.hint),
    "data": (session) => session.data && ["expected", "open"].includes(session.data.state),
    "live": (session) => session.state !== "ended",
  };

  const showSessions = ({list, end, refusal}) => {
    const error = by("filter-error");
    error.hidden = !refusal;
    setText(error, refusal || "");
    if (!list) return;
    // The newest first, and what has ended last.
    const wanted = list.filter(wants[form.elements.show.value] || wants[""])
        .sort((one, other) => (one.state === "ended") - (other.state === "ended") || other.began - one.began);
    showRows(wanted);
    const all = end && end.sessions !== undefined ? end.sessions : list.length;
    let text = wanted.length === 1 ? "1 session" : `${Format.number(wanted.length)} sessions`;
    if (all > wanted.length) text += ` of ${Format.number(all)}`;
    if (list.length < all) text += "; narrow the choice by address or user to see others";
    if (wanted.length === 0) text = all ? "No session like that." : "No session now.";
    setText(by("sessions-count"), text);
  };

  // ---- the ladder

  const aboutSession = (session) => {
    const parts = [];
    if (session.user) parts.push(`user ${session.user}`);
    parts.push(session.state);
    if (session.tls !== "none") parts.push(`TLS ${session.tls}`);
    parts.push(`began ${ago(session.began)} ago`);
    if (session.transfers) {
      parts.push(`${Format.number(session.transfers)} transfers` + (session.bytes ? `, ${Format.bytes(session.bytes)}` : ""));
    }
    const data = session.data;
    if (data && ["expected", "open"].includes(data.state)) {
      let text = `${data.mode} data connection ${data.state}`;
      if (data.who && data.advertised) text += `: ${data.who} to ${data.advertised}`;
      const carried = (data.to_client || 0) + (data.to_server || 0);
      if (carried) text += `, ${Format.bytes(carried)} so far`;
      parts.push(text);
    }
    return parts.join(" · ");
  };

  const showLadder = (answer) => {
    const session = answer && answer.session;
    const hint = by("ladder-hint");
    by("ladder-back").hidden = !chosen;
    by("legend").hidden = !session;
    hint.hidden = !(session && session.hint);
    setText(by("ladder-title"), chosen ? `Ladder of session ${chosen}` : "Ladder");
    if (!session) {
      by("ladder").replaceChildren();
      setText(by("ladder-about"),
              answer && answer.refusal ? answer.refusal
              : chosen ? "…" : "Choose a session to see what passed between client, gateway and server.");
      return;
    }
    setText(by("ladder-about"), aboutSession(session));
    setText(hint, session.hint || "");
    Ladder.draw(by("ladder"), session);
  };

  const choose = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const isOther = id !== chosen;
    chosen = id;
    for (const link of by("sessions").querySelectorAll("a")) {
      if (link.closest("tr").dataset.id === chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    if (!isOther) return;
    showLadder(null);
    round();
  };

  // ---- what happened

  const sessionLink = (id) => id ? element("a", {href: `#${id}`}, id) : "";

  const happened = (list, empty) =>
      list.length ? list : [element("li", {class: "empty"}, empty)];

  const showTransfers = (sessions, events) => {
    const live = (sessions.list || []).filter(wants.data).map((session) => {
      const data = session.data;
      const carried = (data.to_client || 0) + (data.to_server || 0);
      const who = data.who && data.advertised ? `${data.who} to ${data.advertised}` : host(session.client);
      const what = session.transfer ? `${session.transfer.command} ` : "";
      return element("li", {}, element("span", {class: `state ${data.state}`}, data.state),
                     sessionLink(session.id),
                     element("span", {class: "grow"}, element("span", {class: "mono"}, what),
                             `${data.mode}, ${who}`),
                     element("span", {class: "number"},
                             carried ? Format.bytes(carried) : `for ${ago(data.since)}`));
    });
    const ended = (events.list || []).filter(({kind}) => kind === "transfer").reverse().slice(0, 12)
        .map((event) => element(
            "li", {}, element("span", {class: `state ${event.ok ? "ok" : "failed"}`}, event.ok ? "done" : "failed"),
            sessionLink(event.session),
            element("span", {class: "grow"}, element("span", {class: "mono"}, event.command || ""),
                    ` ${host(event.client)}${event.user ? `, ${event.user}` : ""}`),
            element("time", {}, Format.clock(event.time))));
    renew(by("transfers"), happened([...live, ...ended], "No transfer yet."));
  };

  const became = {
    forward: "passed, opened nothing",
    rewrite: "passed, rewritten",
    refuse: "made unknown to the server",
    wait: "dropped, to come again",
  };

  const showRefusals = (status, events) => {
    const reasons = refusals(status).sort((one, other) => other.count - one.count);
    by("reasons").hidden = reasons.length === 0;
    renew(by("reasons").tBodies[0], reasons.map((each) => element(
        "tr", {}, element("td", {}, each.text || each.reason),
        element("td", {class: "wide"}, became[each.action] || ""),
        element("td", {class: "number"}, Format.number(each.count)))));
    const recent = (events.list || [])
        .filter((event) => event.kind === "decision" && !isHarmless(event.reason)).reverse().slice(0, 12)
        .map((event) => element(
            "li", {}, element("time", {}, Format.clock(event.time)), sessionLink(event.session),
            element("span", {class: "grow"}, event.before ? element("span", {class: "mono"}, event.before) : "",
                    element("span", {class: "second"}, event.text || event.reason))));
    renew(by("refusals"), recent.length || reasons.length ? recent : happened([], "Nothing was refused."));
  };

  const showLog = (status) => {
    const lacks = ((status.rules && status.rules.lacks) || []).map((each) => element(
        "li", {}, element("span", {class: "state error"}, "rules"),
        element("span", {class: "grow"}, each.what, each.mend ? element("span", {class: "second"}, `mend: ${each.mend}`) : "")));
    const errors = [...(status.errors || [])].reverse().map((each) => element(
        "li", {}, element("time", {}, Format.clock(each.time)),
        element("span", {class: `state ${each.level}`}, each.level),
        element("span", {class: "grow"}, each.text)));
    renew(by("log"), happened([...lacks, ...errors], "The rules lack nothing that is known, and the log has no warning."));
  };

  const show = (status, sessions, session, events) => {
    latestTime = (status.since || 0) + (status.uptime || 0);
    main.hidden = false;
    showGateway(status);
    showFigures(status);
    showSessions(sessions);
    showLadder(session);
    showTransfers(sessions, events);
    showRefusals(status, events);
    showLog(status);
    const now = (status.sessions || {}).now;
    document.title = now === 1 ? "ftpalg: 1 session" : `ftpalg: ${Format.number(now)} sessions`;
  };

  // ---- what a person does

  const pause = by("pause");
  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    setText(pause, isPaused ? "Paused" : "Pause");
    if (isPaused) clearTimeout(timer);
    else round();
  });

  let typing = null;
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(round, 250);
  });
  form.addEventListener("reset", () => setTimeout(round));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    round();
  });

  // Whoever chooses a session reads its ladder next.
  by("sessions").addEventListener("click", (event) => {
    if (event.target.closest("a")) by("ladder-title").focus();
  });
  by("ladder-back").addEventListener("click", (event) => {
    event.preventDefault();
    const link = by("sessions").querySelector("a[aria-current]");
    history.pushState(null, "", location.pathname);
    choose();
    (link || by("sessions-title")).focus();
  });

  window.addEventListener("hashchange", choose);
  window.addEventListener("popstate", choose);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (!isPaused) round();
  });

  chosen = decodeURIComponent(location.hash.slice(1));
  round();
})();
