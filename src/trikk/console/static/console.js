// What pages can do beyond links and forms: follow what changes, find, keys, copying. Each is complete without it.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const LEAST_PAUSE = 250; // ms between two looks of one page
const [FIRST_PAUSE, LONGEST_PAUSE] = [1000, 30_000]; // ms until a lost connection is tried again

// --- Parts that follow what changes -------------------------------------------------------------------------------
// The server says that something has changed; the page then asks for itself, and takes over what is different in the
// parts that are marked for it. So a live part shows what anybody would see who loads the page.

let tag = null;
let asking = false;
let askAgain = false;
const touched = new WeakSet(); // fields in which somebody has typed or chosen
addEventListener("input", (event) => touched.add(event.target));

const setStale = (isStale) => document.body.classList.toggle("stale", isStale);

async function refresh() {
  if (document.hidden) return; // who comes back to it sees it anew
  if (asking) { askAgain = true; return; }
  asking = true;
  const began = performance.now();
  try {
    const answer = await fetch(location.href, {headers: tag ? {"if-none-match": tag} : {}, cache: "no-store"});
    // A session that is over, a role that was taken away, something that is gone: that page says what.
    if (answer.redirected || [401, 403, 404].includes(answer.status)) location.reload();
    if (answer.ok) {
      tag = answer.headers.get("etag");
      takeOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
    setStale(!answer.ok && answer.status !== 304);
  } catch { setStale(true); }
  // However many look, they ask a server that is slow for so much less that they take a fifth of it together.
  await new Promise((done) => setTimeout(done, Math.max(LEAST_PAUSE, 4 * (performance.now() - began))));
  asking = false;
  if (askAgain) { askAgain = false; refresh(); }
}

// Who types, chooses or is about to press a button in a part is not interrupted; boxes stay ticked besides.
function isInUse(part) {
  const active = document.activeElement;
  return part.contains(active) && active.matches("form[method=post] *, input:not([type=checkbox]), select, textarea")
    || all("input:not([type=checkbox]), select, textarea", part).some((field) => touched.has(field));
}

const keyOf = (element) => [element.tagName, element.getAttribute("href"), element.name, element.value, element.textContent].join();

export function takeOver(page) {
  for (const part of all("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (!fresh || isInUse(part)) continue;
    // What they have left open stays open.
    for (const open of all("details[open][id]", part)) fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
    if (fresh.outerHTML === part.outerHTML) continue;
    for (const box of all("input:checked", part)) {
      fresh.querySelector(`input[name="${CSS.escape(box.name)}"][value="${CSS.escape(box.value)}"]`)?.setAttribute("checked", "");
    }
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const ends = all("[data-end]", part).map((box) => [box.id, box.scrollHeight - box.scrollTop - box.clientHeight < 40, box.scrollTop]);
    const sideways = all(".scroll", part).map((box) => box.scrollLeft);
    part.replaceWith(document.adoptNode(fresh));
    for (const [id, atEnd, top] of ends) toEnd(fresh.querySelector(`#${CSS.escape(id)}`), atEnd, top);
    all(".scroll", fresh).forEach((box, place) => { box.scrollLeft = sideways[place] ?? 0; });
    if (focused) all("a, button, summary, input", fresh).find((other) => keyOf(other) === keyOf(focused))?.focus();
    prepare(fresh);
    fresh.dispatchEvent(new CustomEvent("fresh", {bubbles: true}));
  }
  document.title = page.title || document.title;
}

// A text that grows is shown at its end, unless who reads has gone elsewhere in it.
function toEnd(box, atEnd = true, top = 0) {
  if (box) box.scrollTop = atEnd ? box.scrollHeight : top;
}

// A browser has six connections to a server for all its pages: only those that are seen keep one.
function follow(address) {
  let stream = null;
  let timer = 0;
  let pause = FIRST_PAUSE;
  const close = () => { clearTimeout(timer); stream?.close(); stream = null; };
  const later = () => { close(); timer = setTimeout(open, pause); pause = Math.min(2 * pause, LONGEST_PAUSE); refresh(); };
  const open = () => {
    if (document.hidden || stream) return;
    stream = new EventSource(address);
    stream.onopen = () => { pause = FIRST_PAUSE; refresh(); };
    stream.addEventListener("changed", refresh);
    stream.addEventListener("end", later); // a run that is over may be resumed
    stream.onerror = () => {
      // An answer that is no stream ends it for good: no more to tell, a server that ends, a session that is over.
      if (stream.readyState === EventSource.CLOSED) later();
      else setStale(true);
    };
  };
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  open();
}

// Back shows a page as it was left: whether it is still so, and for whom, the server says.
addEventListener("pageshow", (event) => { if (event.persisted) refresh(); });

// --- Copying ------------------------------------------------------------------------------------------------------

function prepare(within) {
  for (const copy of all("[data-copy]", within)) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
  }
}

// --- Finding ------------------------------------------------------------------------------------------------------

function dialogOf(id, label) {
  const dialog = document.createElement("dialog");
  dialog.id = id;
  dialog.setAttribute("aria-label", label);
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  return dialog;
}

let finder = null;

function openFinder() {
  if (!finder) {
    finder = dialogOf("finder", "Find anything");
    const input = Object.assign(document.createElement("input"), {type: "text", placeholder: "A piece of a name or id", maxLength: 200});
    input.setAttribute("aria-label", "Find anything");
    const list = document.createElement("ol");
    finder.append(input, list);
    let wanted = "";
    input.addEventListener("input", async () => {
      const text = wanted = input.value.trim();
      await new Promise((done) => setTimeout(done, 120));
      if (text !== wanted) return;
      const answer = text ? await fetch(`/search.json?q=${encodeURIComponent(text)}`) : null;
      const hits = answer?.ok ? (await answer.json()).hits : [];
      if (text === wanted) list.replaceChildren(...hits.map(hitItem));
    });
    finder.addEventListener("keydown", (event) => {
      const links = [input, ...all("a", list)];
      const at = links.indexOf(document.activeElement);
      const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
      if (step) { links[(at + step + links.length) % links.length].focus(); event.preventDefault(); }
      if (event.key === "Enter" && at === 0) { links[1]?.click(); event.preventDefault(); }
    });
  }
  finder.showModal();
  finder.querySelector("input").select();
}

function hitItem(hit) {
  const item = document.createElement("li");
  const link = Object.assign(document.createElement("a"), {href: hit.address});
  link.append(Object.assign(document.createElement("small"), {textContent: hit.kind}), hit.title);
  item.append(link);
  return item;
}

// --- Keys ---------------------------------------------------------------------------------------------------------

const PLACES = {o: "/", p: "/pipelines", r: "/runs", t: "/tables", m: "/models", w: "/monitors", i: "/incidents", s: "/triggers", a: "/approvals"};
const KEYS = [
  ["Ctrl K or /", "find anything"], ["?", "show these keys"], ["j, k", "next, previous row"], ["Enter", "open the row"],
  ["g o", "overview"], ["g p", "pipelines"], ["g r", "runs"], ["g t", "tables"], ["g m", "models"], ["g w", "monitors"],
  ["g i", "incidents"], ["g s", "triggers"], ["g a", "approvals"], ["u", "up to the page above"],
];
let keyHelp = null;
let isGoing = false;

function openKeys() {
  if (!keyHelp) {
    keyHelp = dialogOf("keys", "Keys");
    const list = document.createElement("dl");
    list.className = "facts";
    for (const [keys, does] of KEYS) {
      const term = document.createElement("dt");
      term.append(Object.assign(document.createElement("kbd"), {textContent: keys}));
      list.append(term, Object.assign(document.createElement("dd"), {textContent: does}));
    }
    keyHelp.append(Object.assign(document.createElement("h2"), {textContent: "Keys"}), list);
  }
  keyHelp.showModal();
}

function moveRow(step) {
  const links = all("main tbody tr").map((row) => row.querySelector("a")).filter(Boolean);
  const row = document.activeElement.closest?.("tr");
  const at = links.findIndex((link) => link.closest("tr") === row);
  links[Math.max(0, Math.min(links.length - 1, at + step))]?.focus();
}

addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openFinder(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, select, textarea")) return;
  if (isGoing) {
    isGoing = false;
    if (PLACES[event.key]) location.assign(PLACES[event.key]);
    return;
  }
  if (event.key === "g") isGoing = true;
  else if (event.key === "/") { event.preventDefault(); openFinder(); }
  else if (event.key === "?") openKeys();
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
  else if (event.key === "u") all(".trail a").at(-1)?.click();
});

// --- Forms --------------------------------------------------------------------------------------------------------
// A second press of a button while the first is on its way does nothing.

addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const form of all("form[data-sent]")) delete form.dataset.sent; });

// ------------------------------------------------------------------------------------------------------------------

prepare(document);
all("[data-end]").forEach((box) => toEnd(box));
// No event tells of a log that grows: while a part says that it does, the page is looked at each second.
setInterval(() => { if (!document.hidden && document.querySelector("[data-often]")) refresh(); }, 1000);
for (const button of all("[data-keys]")) { button.hidden = false; button.addEventListener("click", openKeys); }
const live = document.body.dataset.live;
if (live) follow(live);
