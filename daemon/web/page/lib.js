// Libraries

import {h, render, Component, Fragment} from './lib/preact.js';
import {useEffect, useLayoutEffect, useMemo, useRef, useState} from './lib/hooks.js';
import {batch, computed, effect, signal, untracked, useComputed, useSignal} from './lib/signals.js';
import htm from './lib/htm.js';

/** A template that makes Preact's elements. Text in it is data, never markup. */
const html = htm.bind(h);

export {h, html, render, Component, Fragment, useEffect, useLayoutEffect, useMemo, useRef, useState};
export {batch, computed, effect, signal, untracked, useComputed, useSignal};
