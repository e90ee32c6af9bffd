// What a browser with scripts does beside: no page needs it. It counts deadlines down by the server's clock, keeps a draft
// in this browser until it is sent, and asks authenticators.
"use strict";

const json = async (url, body) => {
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error || answer.statusText);
  return said;
};

const onPress = (section, act) => {
  const problem = section.querySelector(".problem");
  const button = section.querySelector("button");
  button.addEventListener("click", async () => {
    problem.hidden = true;
    button.disabled = true;
    try {
      location.assign((await act()).next);
    } catch (e) {
      problem.textContent = e.message;
      problem.hidden = false;
      button.disabled = false;
    }
  });
};

const assert = async (url, extra) => {
  const c = await json(url, extra);
  const credential = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(c.options) });
  return { ceremony: c.ceremony, response: credential.toJSON() };
};

for (const section of document.querySelectorAll("[data-passkey], [data-enrol], [data-sign]")) {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) {
    section.hidden = true;
    continue;
  }
  const { passkey, enrol, sign, next, digest, nonce } = section.dataset;
  if (passkey) onPress(section, async () => json(passkey + "/finish", { ...(await assert(passkey, {})), next: next || "" }));
  if (sign) onPress(section, async () => json(sign + "/finish", await assert(sign, { digest, nonce })));
  if (enrol) onPress(section, async () => {
    const c = await json(enrol, {});
    const credential = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(c.options) });
    return json(enrol + "/finish", { ceremony: c.ceremony, response: credential.toJSON(), label: section.querySelector("input").value });
  });
}

// What a provider sent back goes on by itself.
const atOnce = document.querySelector("form[data-at-once]");
if (atOnce) atOnce.requestSubmit();

// A one-time link carries its secret behind the #, which no server sees.
for (const form of document.querySelectorAll("[data-fragment]")) {
  if (location.hash.length > 1) {
    form.elements[form.dataset.fragment].value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
  }
}

// The words are the server's; when the minute is over the page asks again for what it says. That is no use of the session,
// which ends as if the page were left alone; then the page says so.
function countdown() {
  const due = document.querySelector(".until[data-due]");
  if (!due || document.querySelector("form.stack")) return;
  const seconds = Number(due.dataset.due) - Number(due.dataset.now);
  if (seconds <= 0) return;
  setTimeout(async () => {
    const answer = await fetch(location.href, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (answer && (answer.redirected || !answer.ok)) return location.reload();
    const now = answer && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".until[data-due]");
    if (answer && !now) return location.reload();
    if (now) {
      due.textContent = now.textContent;
      Object.assign(due.dataset, { due: now.dataset.due, now: now.dataset.now });
    }
    countdown();
  }, Math.min(60, seconds + 1) * 1000);
}
countdown();

// Drafts are their writer's: the name begins with the person's id. What was sent is kept until the answer says that it was
// taken, and nobody who signs out leaves a draft behind.
const draftKey = (name) => "draft/" + name;
const dropDrafts = (writer, which) => {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(draftKey(writer) + "/") && which(key)) localStorage.removeItem(key);
    }
  } catch { /* nothing is kept */ }
};
for (const form of document.querySelectorAll("form[data-draft]")) {
  const key = draftKey(form.dataset.draft);
  const note = form.querySelector(".draft");
  const say = (text) => { note.textContent = text; note.hidden = false; };
  const fields = () => [...form.elements].filter((e) => e.name && e.type !== "hidden" && e.type !== "submit");
  try {
    const kept = JSON.parse(localStorage.getItem(key) || "null");
    if (kept && !document.querySelector(".problems")) {
      for (const e of fields()) {
        if (!(e.name in kept)) continue;
        if (e.type === "checkbox" || e.type === "radio") e.checked = kept[e.name] === e.value;
        else e.value = kept[e.name];
      }
      say(note.dataset.restored);
    }
    form.addEventListener("input", () => {
      const now = {};
      for (const e of fields()) if ((e.type !== "checkbox" && e.type !== "radio") || e.checked) now[e.name] = e.value;
      localStorage.setItem(key, JSON.stringify(now));
      say(note.dataset.saved);
    });
  } catch { /* a browser that keeps nothing files all the same */ }
}
for (const taken of document.querySelectorAll("[data-draft-taken]")) {
  const version = Number(taken.dataset.version);
  dropDrafts(taken.dataset.draftTaken, (key) => Number(key.slice(key.lastIndexOf("/") + 1)) < version);
}
for (const form of document.querySelectorAll("form[data-drafts-of]")) form.addEventListener("submit", () => dropDrafts(form.dataset.draftsOf, () => true));

// A page that stays open is told that something changed, and asks for its own part again. While nobody looks it rests.
if (document.querySelector("[data-live]") && window.EventSource) {
  const part = () => document.querySelector("[data-live]");
  const state = document.getElementById("livestate");
  const say = (text) => { state.textContent = text; state.hidden = false; };
  let feed = null;
  const rest = () => {
    if (feed) feed.close();
    feed = null;
  };
  const follow = () => {
    if (feed || document.hidden || !part()) return;
    feed = new EventSource(part().dataset.live);
    feed.addEventListener("open", () => say(state.dataset.begun));
    feed.addEventListener("changed", () => part() && part().dispatchEvent(new Event("ledger")));
    feed.addEventListener("error", () => {
      if (!part()) { // what was followed is over
        state.hidden = true;
        return rest();
      }
      const ended = feed && feed.readyState === EventSource.CLOSED;
      say(ended ? state.dataset.ended : state.dataset.lost);
      if (ended) poll();
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return follow();
    rest();
  });
  follow();
}

// What goes on at the server is looked at again until it is over; then the page is, for what it says beside. Looking is
// no use of the session, which ends as if the page were left alone.
function poll() {
  const polled = document.querySelector("[data-poll]");
  if (!polled) return;
  const look = async () => {
    const answer = await fetch(location.href, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer) return setTimeout(look, 5000);
    const now = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(polled.id);
    if (!now || !now.dataset.poll) return location.reload();
    polled.replaceChildren(...now.childNodes);
    setTimeout(look, Number(polled.dataset.poll));
  };
  setTimeout(look, Number(polled.dataset.poll));
}
if (!document.querySelector("[data-live]") || !window.EventSource) poll();

for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());

// A link to a place on this page takes the focus there. By the keyboard it does when the key is let go: a field that gets
// the focus sooner takes the same key for its own, and Enter would send its form.
let held = false;
addEventListener("keydown", () => { held = true; }, true);
addEventListener("keyup", () => { held = false; }, true);
for (const link of document.querySelectorAll('a[href^="#"]')) {
  link.addEventListener("click", (e) => {
    const place = document.getElementById(link.hash.slice(1));
    if (!place) return;
    e.preventDefault();
    if (held) addEventListener("keyup", () => place.focus(), { once: true });
    else place.focus();
  });
}

const problems = document.querySelector(".problems");
if (problems) problems.focus();
