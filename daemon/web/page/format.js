// Times, durations, sizes and counts as people read them. Pure.

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** @param {number} n @param {number} [width] */
const pad = (n, width = 2) => String(n).padStart(width, '0');

/** @param {Date} d @param {boolean} utc */
function parts(d, utc) {
  return utc
    ? {y: d.getUTCFullYear(), mo: d.getUTCMonth(), d: d.getUTCDate(), h: d.getUTCHours(), mi: d.getUTCMinutes(), s: d.getUTCSeconds()}
    : {y: d.getFullYear(), mo: d.getMonth(), d: d.getDate(), h: d.getHours(), mi: d.getMinutes(), s: d.getSeconds()};
}

/**
 * A moment: only the time where it is today's, else the date too.
 * @param {string} iso @param {string} where 'local' or 'utc' @param {number} at the present, in milliseconds
 */
export function moment(iso, where, at) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const utc = where === 'utc';
  const p = parts(date, utc);
  const today = parts(new Date(at), utc);
  const time = `${pad(p.h)}:${pad(p.mi)}:${pad(p.s)}`;
  if (p.y === today.y && p.mo === today.mo && p.d === today.d) return time;
  const day = `${p.d} ${MONTHS[p.mo]}`;
  return p.y === today.y ? `${day} ${time}` : `${day} ${p.y} ${time}`;
}

/** The name of the zone in which times are shown. @param {string} where */
export function zoneName(where) {
  if (where === 'utc') return 'UTC';
  const minutes = -new Date().getTimezoneOffset();
  const sign = minutes < 0 ? '−' : '+';
  const abs = Math.abs(minutes);
  return `UTC${sign}${Math.floor(abs / 60)}${abs % 60 ? ':' + pad(abs % 60) : ''}`;
}

/** A length of time in at most two units. @param {number} ms @returns {string} */
export function duration(ms) {
  if (!Number.isFinite(ms)) return '';
  if (ms < 0) return '−' + duration(-ms);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  /** @type {[number, string, number, string][]} */
  const units = [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'm'], [60, 'm', 1, 's']];
  for (const [big, bigName, small, smallName] of units) {
    if (s < big) continue;
    const rest = Math.floor((s % big) / small);
    return `${count(Math.floor(s / big))} ${bigName}${rest ? ` ${rest} ${smallName}` : ''}`;
  }
  return '';
}

/** As duration, but to the second, for what changes as one watches. @param {number} ms */
export const clock = (ms) => (ms < 1000 && ms > -1000 ? 'now' : duration(Math.trunc(ms / 1000) * 1000).replace('.0 s', ' s'));

/** As duration, in one unit. @param {number} ms */
export const coarse = (ms) => (ms < 1000 ? 'now' : ms < 60000 ? `${Math.floor(ms / 1000)} s` : duration(ms).split(' ').slice(0, 2).join(' '));

/** @param {number} n */
export const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

/** @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many ?? one + 's'}`;

/** @param {number} n in bytes */
export function bytes(n) {
  if (n < 1024) return plural(n, 'byte');
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = n / 1024;
  let unit = 0;
  for (; value >= 1024 && unit < 3; unit++) value /= 1024;
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${units[unit]}`;
}

/** The beginning of a text with an ellipsis where more follows. @param {string} text @param {number} length */
export const cut = (text, length) => (text.length > length ? text.slice(0, length - 1) + '…' : text);

/**
 * JSON text with line breaks and indents, and otherwise as it is: numbers, escapes and repeated keys are never changed.
 * @param {string} text
 */
export function indentJson(text) {
  let out = '';
  let depth = 0;
  const line = () => '\n' + '  '.repeat(Math.min(depth, 100));
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') {
      let end = i + 1;
      while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
      out += text.slice(i, end + 1);
      i = end;
    } else if (c === '{' || c === '[') {
      const close = /\s*[}\]]/y;
      close.lastIndex = i + 1;
      if (close.test(text)) {
        out += c + text[close.lastIndex - 1];
        i = close.lastIndex - 1;
      } else {
        depth++;
        out += c + line();
      }
    } else if (c === '}' || c === ']') {
      depth = Math.max(0, depth - 1);
      out += line() + c;
    } else if (c === ',') out += c + line();
    else if (c === ':') out += ': ';
    else if (!/\s/.test(c)) out += c;
  }
  return out;
}
