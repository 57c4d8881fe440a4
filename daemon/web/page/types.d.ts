// Types of what the page's modules pass to each other. For tsc only; never loaded by a browser.

export interface GraphNode {
  id: string;
  parent: number | null;
  type: string;
  text: string;
  name: string | null;
  heading: string | null;
  cut: boolean;
}

export interface TreeNode {
  i: number; // its place in preorder, which is also its id as a number
  id: string;
  type: string;
  text: string;
  name: string | null;
  cut: boolean; // text is only its beginning
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
