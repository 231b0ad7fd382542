// A small plot of the last ten minutes, of fixed size, with its numbers beside it as text.

import { counted } from './console-numbers.js';
import { setText } from './console-rows.js';
import { element } from './console-view.js';

const [WIDTH, HEIGHT] = [300, 48];
/** Between samples further apart than this nothing is known. */
const HOLE_MS = 7000;
export class Plot {
  #nodes;
  #form;
  #lines;

  /** `lines` are `[key, name]` of what a sample has; `form` writes a number. */
  constructor({ title, hint, unit = '', lines, form }) {
    this.#form = (number) => `${form(number)}${unit && ` ${unit}`}`;
    this.#lines = lines;
    // The page's markup has the picture, so that its elements are of SVG.
    const picture = document.getElementById('plot-picture').content.firstElementChild.cloneNode(true);
    const [marks, ...paths] = picture.children;
    const values = lines.map(([, name], index) => [element('span', { className: `key key-${index}`, text: lines.length > 1 ? name : '' }), element('strong')]);
    const most = element('span', { className: 'most' });
    const head = element('figcaption', {}, element('span', { className: 'plot-title', text: title, title: hint ?? '' }), most, element('span', { className: 'values' }, ...values.flat()));
    this.#nodes = { picture, paths, marks, most, values: values.map(([, value]) => value), title };
    this.node = element('figure', { className: 'plot' }, head, picture);
  }

  /** Draws what is known up to now over so many minutes. */
  show(samples, now, nMinutes) {
    const { paths, marks, picture, values, most, title } = this.#nodes;
    const keys = this.#lines.map(([key]) => key);
    const known = samples.flatMap(({ values: sampled }) => keys.map((key) => sampled[key])).filter((value) => value !== undefined);
    this.node.hidden = known.length === 0 && keys.every((key) => key === 'tail' || key === 'behind');
    const top = known.reduce((one, other) => Math.max(one, other), 0);
    const x = (at) => ((1 + (at - now) / (nMinutes * 60_000)) * WIDTH).toFixed(1);
    const y = (value) => (HEIGHT - 2 - (top > 0 ? value / top : 0) * (HEIGHT - 6)).toFixed(1);
    keys.forEach((key, index) => {
      paths[index].setAttribute('d', line(samples, key, x, y));
      const last = samples.at(-1)?.values[key];
      setText(values[index], last === undefined ? '-' : this.#form(last));
    });
    marks.setAttribute('d', samples.filter(({ isRestart }) => isRestart).map(({ at }) => `M${x(at)} 0V${HEIGHT}`).join(''));
    setText(most, known.length ? `at most ${this.#form(top)}` : 'nothing yet');
    const said = this.#lines.map(([, name], index) => `${name} ${values[index].textContent} now`).join(', ');
    picture.setAttribute('aria-label', `${title}, the last ${counted(nMinutes, 'minute')}: ${said}; ${most.textContent}`);
  }
}

function line(samples, key, x, y) {
  let path = '';
  let before = undefined;
  for (const { at, values } of samples) {
    const value = values[key];
    if (value !== undefined) path += `${before !== undefined && at - before < HOLE_MS ? 'L' : 'M'}${x(at)} ${y(value)}`;
    // A sample without it is a hole, too; lags are only known while something is written.
    before = value === undefined ? undefined : at;
  }
  // A single point is drawn as a dot.
  return path.replace(/M([\d.-]+ [\d.-]+)(?=M|$)/g, 'M$1h0.1');
}
