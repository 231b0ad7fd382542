// Lists that change while they are read: a row keeps its element, its focus and what was opened in it.

/** Rows by key. `make(key, item)` returns `{ node, update(item) }`. */
export class KeyedRows {
  #list;
  #make;
  #views = new Map();

  constructor(list, make) {
    this.#list = list;
    this.#make = make;
  }

  /** Shows these, as `[key, item]`, in this order, and nothing else. */
  show(entries) {
    const shown = new Map(entries);
    const active = this.#list.contains(document.activeElement) ? document.activeElement : undefined;
    for (const [key, view] of this.#views) {
      if (shown.has(key)) continue;
      view.node.remove();
      this.#views.delete(key);
    }
    let next = this.#list.firstElementChild;
    for (const [key, item] of shown) {
      let view = this.#views.get(key);
      if (view === undefined) {
        view = this.#make(key, item);
        this.#views.set(key, view);
      }
      if (view.node === next) next = next.nextElementSibling;
      else this.#list.insertBefore(view.node, next);
      view.update(item);
    }
    // What is moved loses the focus.
    if (active?.isConnected && document.activeElement !== active) active.focus({ preventScroll: true });
  }
}

/** Says what a list has left out. */
export function showMore(node, nMore, hint) {
  node.hidden = nMore <= 0;
  const text = nMore > 0 ? `and ${nMore} more${hint ? `: ${hint}` : ''}` : '';
  if (node.textContent !== text) node.textContent = text;
}

/** Sets a text only if it is another one, so that nothing is read out twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A name as it can be read: what would turn the direction of text round, or is not there to be seen, is shown as a sign. */
export function readable(name) {
  return String(name).replace(/[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, '\ufffd');
}
