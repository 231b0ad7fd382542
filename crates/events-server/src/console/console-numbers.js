// Numbers in few columns, as on the terminal's screen.

export const UNKNOWN = '-';

/** A count: `999`, `1.2k`, `45.1k`, `340k`, `1.2M`. */
export function count(number) {
  if (number < 1000) return String(Math.floor(number));
  for (const [unit, name] of [[1e3, 'k'], [1e6, 'M'], [1e9, 'G']]) {
    if (number >= unit * 1000) continue;
    const tenths = Math.floor(number * 10 / unit);
    return tenths < 1000 ? `${Math.floor(tenths / 10)}.${tenths % 10}${name}` : `${Math.floor(tenths / 10)}${name}`;
  }
  return number < 1e15 ? `${Math.floor(number / 1e12)}T` : '>999T';
}

/** A rate per second: with a tenth while it is small. */
export const rate = (number) => (number < 100 ? String(Math.floor(number * 10) / 10) : count(number));

/** A number of bytes: `512 B`, `12.3 kB`. */
export function bytes(number) {
  const text = count(number);
  return /[a-z]$/i.test(text) ? `${text.slice(0, -1)} ${text.at(-1)}B` : `${text} B`;
}

/** A time that something has gone on: `12s`, `3m05`, `2h14`, `3d04`. */
export function age(millis) {
  const seconds = Math.floor(Math.max(millis, 0) / 1000);
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${two(seconds % 3600 / 60)}`;
  return `${Math.floor(seconds / 86_400)}d${two(seconds % 86_400 / 3600)}`;
}

/** A short time: `340ms`, `1.23s`, `12.3s`, `3m05`. */
export function span(millis) {
  if (millis < 1000) return `${Math.floor(millis)}ms`;
  if (millis < 10_000) return `${(Math.floor(millis / 10) / 100).toFixed(2)}s`;
  if (millis < 60_000) return `${(Math.floor(millis / 100) / 10).toFixed(1)}s`;
  return age(millis);
}

/** An amount of dollars, never rounded to nothing. */
export function money(amount) {
  const steps = Math.round(amount * 10_000);
  const dollars = Math.floor(steps / 10_000);
  if (amount === 0) return '$0';
  if (steps === 0) return '<$.0001';
  if (dollars === 0) return `$0.${String(steps).padStart(4, '0')}`;
  if (dollars < 100) return `$${dollars}.${String(Math.floor(steps % 10_000 / 100)).padStart(2, '0')}`;
  return `$${dollars < 100_000 ? dollars : count(dollars)}`;
}

export const counted = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
