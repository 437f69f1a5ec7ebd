// The keyboard: / searches, j and k go through the rows, Enter opens, Escape goes back, ? tells all of it.

import { element } from "./dom.js";

const KEYS = [
  ["/", "search"],
  ["j, k", "next and previous area"],
  ["Enter", "open it"],
  ["Escape", "back, or end the search"],
  ["r", "another range of the past, on a target's page"],
  ["?", "this list"],
];

export function bindKeys(app) {
  const help = helpDialog();
  document.body.append(help);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const act = isTyping(event.target) ? typingAction(app, event) : action(app, event.key, help);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function isTyping(node) {
  return node instanceof HTMLInputElement || node instanceof HTMLSelectElement || node instanceof HTMLTextAreaElement;
}

function typingAction(app, { key, target }) {
  if (target !== app.search) return null;
  if (key === "Enter") return () => app.toFound();
  if (key !== "Escape") return null;
  return () => {
    app.clear();
    app.search.blur();
  };
}

function action(app, key, help) {
  if (key === "/") return () => app.search.select();
  if (key === "?") return () => help.showModal();
  if (app.place) return { r: () => app.targetPage.nextRange(), Escape: () => app.leave() }[key] ?? null;
  return { j: () => app.list.step(1), k: () => app.list.step(-1), Escape: () => app.clear() }[key] ?? null;
}

function helpDialog() {
  const rows = KEYS.map(([key, words]) => element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, words)));
  const close = element("button", { type: "button", click: () => dialog.close() }, "Close");
  const title = element("h2", { id: "keys" }, "Keyboard");
  const dialog = element("dialog", { "aria-labelledby": "keys" }, title, element("dl", {}, rows), close);
  return dialog;
}
