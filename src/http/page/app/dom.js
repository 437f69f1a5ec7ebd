// Elements. Text only ever becomes a text node: names of targets are chosen by whoever starts a process.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children: nodes, texts, or nothing (null, undefined, false). */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same of a drawing. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child || child === 0));
  return node;
}

/** Another text for a node, if it is another one: what a person has selected stays selected. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A foreign name in a box of its own, whatever its direction of writing. */
export function name(text) {
  return element("bdi", {}, text);
}

/** Puts nodes in order into their parent, moving only those that stand elsewhere, and keeps the focus. */
export function arrange(parent, nodes) {
  const focused = document.activeElement;
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** Gives a parent other children, in place where they are alike: focus, selection and scrolling stay where they are. */
export function become(parent, children) {
  follow(parent, element("div", {}, children));
}

function follow(old, fresh) {
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => {
    const own = before[index];
    if (!own) old.append(node);
    else if (own.nodeName !== node.nodeName) own.replaceWith(node);
    else if (own instanceof Text) say(own, node.data);
    else {
      takeAttributes(own, node);
      follow(own, node);
    }
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function takeAttributes(own, node) {
  for (const { name: key } of [...own.attributes]) if (!node.hasAttribute(key)) own.removeAttribute(key);
  for (const { name: key, value } of node.attributes) if (own.getAttribute(key) !== value) own.setAttribute(key, value);
}
