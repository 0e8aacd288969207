/**
 * Reads texts of a grammar byte by byte: an automaton whose states are made when they are first reached (Antimirov's partial derivatives).
 *
 * A state is a set of cells, each of which is a list of nodes that must follow each other: the rest of a text. Limits on repetitions are
 * counted down in the nodes, so that a repetition up to 1000 costs no more than one up to 2. Every node matches some text (the grammar is
 * pruned), so whatever leads to a state can be finished.
 */
import type { Grammar } from './grammar.ts';
import { Nodes, type Node } from './nodes.ts';

/** A node and what follows it. Equal cells are the same object. */
interface Cell {
  readonly id: number;
  readonly node: Node;
  /** Absent for the end of the text. */
  readonly rest: Cell | undefined;
  /** Cells with the same shape differ in the limits of repetitions only: in `limits`, least and most rounds of each. */
  readonly shape: number;
  readonly limits: readonly number[];
  /** Those which begin with another node and go on with this one, by the node's id. */
  readonly above: Map<number, Cell>;
}

interface State {
  readonly cells: readonly Cell[];
  /** What a byte may be, and what follows it; absent until it is asked for. */
  heads?: readonly { readonly has: Uint8Array; readonly then: Cell }[];
  /** What `similar` gave, by length. */
  similar?: Map<number, number>;
}

const unknown = -1;
/** The state from which nothing matches. */
export const dead = 0;

export class Automaton {
  /** [states, classes] the next state, or -1 where that is not known yet. Another array when states are added. */
  table: Int32Array;
  readonly classes: number;
  readonly classOf: Uint8Array;
  readonly start: number;
  private readonly nodes: Nodes;
  private readonly end: Cell;
  private readonly states: State[] = [{ cells: [] }];
  private readonly ends: boolean[] = [false];
  private readonly known = new Map<string, number>();
  private readonly shapes = new Map<string, number>();
  private cells = 0;

  /** `grammar`: countable and pruned. `onState` is called for each state that is made; what it throws is passed on. */
  constructor(grammar: Grammar, private readonly onState: () => void = () => undefined) {
    this.nodes = new Nodes(grammar);
    this.classes = this.nodes.classes;
    this.classOf = this.nodes.classOf;
    this.table = new Int32Array(64 * this.classes).fill(unknown).fill(dead, 0, this.classes);
    this.end = { id: this.cells++, node: this.nodes.empty, rest: undefined, shape: 0, limits: [], above: new Map() };
    this.start = this.state([this.cell(this.nodes.body('root'), this.end)]);
  }

  /** How much it holds: entries of the table and cells. */
  get size(): number { return this.states.length * this.classes + this.cells; }

  /** Whether the text may end in a state. */
  mayEnd(state: number): boolean {
    this.heads(state);
    return this.ends[state] ?? false;
  }

  /** The state after a byte of a class. */
  step(state: number, byteClass: number): number {
    const at = state * this.classes + byteClass;
    const next = this.table[at] ?? dead;
    if (next !== unknown) return next;
    const cells = new Set<Cell>();
    for (const { has, then } of this.heads(state)) if (has[byteClass] === 1) cells.add(then);
    const made = cells.size === 0 ? dead : this.state([...cells]);
    this.table[at] = made;
    return made;
  }

  /** The state after bytes. */
  read(state: number, bytes: Iterable<number>): number {
    let at = state;
    for (const b of bytes) at = this.step(at, this.classOf[b] ?? 0);
    return at;
  }

  /** A state that is the same for the next `length` bytes and for ending now: with no limits but those that can be reached within them. */
  similar(state: number, length: number): number {
    const known = this.states[state];
    if (!known) return dead;
    const similar = known.similar ??= new Map<number, number>();
    let found = similar.get(length);
    if (found === undefined) similar.set(length, found = this.state([...new Set(known.cells.map((cell) => this.relaxed(cell, length)))]));
    return found;
  }

  private relaxed(cell: Cell, length: number): Cell {
    if (!cell.rest || cell.limits.length === 0) return cell;
    const rest = this.relaxed(cell.rest, length);
    const { node } = cell;
    if (node.kind !== 'repeat') return this.cell(node, rest);
    // No more rounds than this can begin, and one less can end.
    const rounds = Math.floor(length / node.bytes) + 1;
    return this.cell(this.nodes.repeat(node.item, Math.min(node.min, rounds), node.max >= rounds ? Infinity : node.max, node.bytes), rest);
  }

  private cell(node: Node, rest: Cell): Cell {
    let cell = rest.above.get(node.id);
    if (!cell) {
      const counted = node.kind === 'repeat';
      const key = `${counted ? `r${node.item.id}` : node.id},${rest.shape}`;
      let shape = this.shapes.get(key);
      if (shape === undefined) this.shapes.set(key, shape = this.shapes.size + 1);
      cell = { id: this.cells++, node, rest, shape, limits: counted ? [node.min, node.max, ...rest.limits] : rest.limits, above: new Map() };
      rest.above.set(node.id, cell);
    }
    return cell;
  }

  /** The number of the state with these cells. */
  private state(all: readonly Cell[]): number {
    const cells = all.length === 1 ? all : withoutCovered(all);
    const key = cells.map((cell) => cell.id).join(',');
    let number = this.known.get(key);
    if (number === undefined) {
      this.onState();
      number = this.states.length;
      this.known.set(key, number);
      this.states.push({ cells });
      if (this.states.length * this.classes > this.table.length) {
        const larger = new Int32Array(this.table.length * 2).fill(unknown, this.table.length);
        larger.set(this.table);
        this.table = larger;
      }
    }
    return number;
  }

  /** Goes through all that can stand in front of the next byte. */
  private heads(state: number): NonNullable<State['heads']> {
    const opened = this.states[state];
    if (!opened) return [];
    if (opened.heads) return opened.heads;
    const heads: { has: Uint8Array; then: Cell }[] = [];
    const seen = new Set<Cell>();
    const waiting: Cell[] = [];
    const open = (cell: Cell): void => {
      if (seen.has(cell)) return;
      seen.add(cell);
      waiting.push(cell);
    };
    opened.cells.forEach(open);
    for (let cell = waiting.pop(); cell; cell = waiting.pop()) {
      const { node, rest } = cell;
      if (!rest) { this.ends[state] = true; continue; }
      switch (node.kind) {
        case 'empty': open(rest); break;
        case 'byte': heads.push({ has: node.has, then: rest }); break;
        case 'pair': open(this.cell(node.first, this.cell(node.second, rest))); break;
        case 'choice': for (const item of node.items) open(this.cell(item, rest)); break;
        case 'rule': open(this.cell(this.nodes.body(node.name), rest)); break;
        case 'repeat': {
          if (node.min === 0) open(rest);
          const more = node.max === 1 ? rest : this.cell(this.nodes.repeat(node.item, Math.max(0, node.min - 1), node.max - 1, node.bytes), rest);
          open(this.cell(node.item, more));
          break;
        }
        default: throw node satisfies never;
      }
    }
    return opened.heads = heads;
  }
}

/** Cells, in order, without those that match only what another one matches: the same with limits at least as wide. */
function withoutCovered(all: readonly Cell[]): readonly Cell[] {
  const shapes = new Map<number, Cell[]>();
  for (const cell of all) {
    const others = shapes.get(cell.shape);
    if (!others) shapes.set(cell.shape, [cell]);
    else if (!others.some((other) => covers(other, cell))) shapes.set(cell.shape, [...others.filter((other) => !covers(cell, other)), cell]);
  }
  return [...shapes.values()].flat().sort((a, b) => a.id - b.id);
}

function covers(a: Cell, b: Cell): boolean {
  return a.limits.every((limit, i) => (i % 2 === 0 ? limit <= (b.limits[i] ?? 0) : limit >= (b.limits[i] ?? 0)));
}
