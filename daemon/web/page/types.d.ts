// Types of what the page's modules pass to each other. For tsc only; never loaded by a browser.

export interface GraphNode {
  id: string;
  parent: number | null;
  type: string;
  text: string;
  name: string | null;
  heading: string | null;
  loops?: number;
  cut: boolean;
}

export interface TreeNode {
  i: number; // its place in preorder, which is also its id as a number
  id: string;
  type: string;
  text: string;
  name: string | null;
  cut: boolean; // text is only its beginning
  loops: number; // how many loops and rows enclose it
  parent: number;
  slot: number;
  role: string; // what it is to its parent: condition, then, body, …; '' below THEN
  children: number[];
  depth: number;
  last: number; // the last node that it encloses, itself if it is a leaf
}

export interface Box {
  i: number;
  kind: 'leaf' | 'fold' | 'more' | 'head' | 'frame' | 'meet';
  from?: number; // of 'more': the first sibling that is not drawn
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Edge {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
  turn: number; // the y at which it goes sideways
  to: number; // the node that it leads to, which colours it; below 0: an empty branch
  label?: string;
}

// What the server sends: docs/web-api.md.

export interface Piece {
  text: string;
  bytes: number;
  cut: boolean;
}

export type Status = 'pending' | 'running' | 'completed' | 'failed' | 'cancelled' | 'paused';

export interface Me {
  mode: 'personal' | 'login' | 'proxy';
  role: string;
  operator: boolean;
  read_only: boolean;
  banner: string | null;
  version: string;
  schema: string;
  server_version: string;
  database: string;
  daemons: number;
  now: string;
  settings: {name: string; value: string}[];
}

export interface Why {
  kind: string;
  text: string;
  node: string | null;
  name: string | null;
  code: string | null;
  since: string | null;
  until: string | null;
  late: boolean;
  more: number;
}

export interface Row {
  id: string;
  label: string | null;
  status: Status;
  role: string | null;
  database: string;
  priority: number;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  updated_at: string;
  wake_at: string | null;
  duration_ms: number | null;
  held: boolean;
  request: string | null;
  nodes: {done: number; total: number} | null;
  why: Why | null;
}

export interface Wait {
  instance: string;
  label: string | null;
  role: string | null;
  node: string | null;
  kind: string;
  name: string | null;
  since: string | null;
  until: string | null;
  late: boolean;
  attempt: number | null;
  error: string | null;
  may_signal: boolean;
}

export interface States {
  seq: number;
  letters: string;
  rows: Record<string, {total: number; done: number; failed: number; failed_rows?: number[]}>;
  iterations: Record<string, number>;
  attempts: Record<string, number>;
}

export interface ErrorParts {
  message: string;
  code?: string | null;
  sqlstate?: string | null;
  detail?: string | null;
  hint?: string | null;
  node?: string | null;
  attempts?: number | null;
  position?: number | null;
  statement?: string | null;
}

export interface InstanceDetail {
  instance: Row;
  why: Why | null;
  waits: Wait[];
  last_seq: number;
  reason: string | null;
  error: Piece | null;
  error_parts: ErrorParts | null;
  result: Piece | null;
  idempotency_key: string | null;
  rerun_of: any;
  can: Record<string, string | null>;
  states: States | null;
}

export interface Event {
  seq: number;
  at: string;
  kind: string;
  node: string | null;
  scope: string;
  attempt: number | null;
  started_at: string | null;
  data: Piece | null;
}

export interface Attempt {
  seq: number;
  scope: string;
  attempt: number | null;
  kind: string;
  started_at: string | null;
  at: string;
  queued_ms: number | null;
  took_ms: number | null;
  retry_at: string | null;
  result: Piece | null;
  error: Piece | null;
  error_parts: ErrorParts | null;
}

export interface Worker {
  id: number;
  name: string;
  host: string;
  pid: number;
  version: string;
  started_at: string;
  last_seen_at: string;
  silent_seconds: number;
  alive: boolean;
  held: number;
}

export interface Count {
  count: number;
  capped: boolean;
}
