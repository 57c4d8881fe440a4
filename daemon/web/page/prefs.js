// What the person chose, and the clock.

import {signal} from './lib.js';

/** @param {string} key @param {string} otherwise */
function remembered(key, otherwise) {
  try {
    return localStorage.getItem(key) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keeps a choice of the person's for the next visit, where the browser allows it. @param {string} key @param {string} value */
export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that stores nothing forgets it.
  }
}

/** Which clock the page shows: 'local' or 'utc'. */
export const zone = signal(remembered('durabled.zone', 'local'));
/** 'system', 'light' or 'dark'. */
export const theme = signal(remembered('durabled.theme', 'system'));
/** The time in milliseconds, to the second; it moves while the page is seen. */
export const now = signal(Date.now());

/** How far the server's clock is ahead of this one, in milliseconds. */
export const skew = signal(0);
