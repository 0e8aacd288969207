/** Brings quantised rows into cells (see compiler/cell-layout.ts), and finds elements there. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { cellBlockBytes, cellColumns, cellLayout, cellRows, chunkBytes, wordPlace, type CellFormat, type CellLayout } from '../../compiler/cell-layout.ts';
import { formatBlock } from '../../compiler/formats.ts';
import { scaleAndMin } from '../weights/gguf/decode-256.ts';

export type WordOrder = 'quads' | 'pairs';

/** The byte of row r (0..3) and column c (0..3) in a word. */
const placeOf = (order: WordOrder, r: number, c: number): number => (order === 'quads' ? 4 * r + c : 8 * (c >> 1) + 2 * r + (c & 1));

const nibbles = 0x0f0f0f0f;

/**
 * Brings rows as ggml stores them into cells. `target` is zero at first: rows that are missing in the last block stay so. `halves`: the
 * value of every binary16 number. Four columns of a row are handled at once, as the bytes of a 32-bit number.
 */
export function packCells(format: CellFormat, order: WordOrder, source: Uint8Array, k: number, target: Uint8Array, halves: Float32Array): void {
  const shape = cellLayout(format);
  const block = formatBlock(format);
  const rowBytes = (k / block.elements) * block.bytes;
  const rows = source.length / rowBytes;
  const cells = k / cellColumns;
  const blockBytes = cellBlockBytes(format, k);
  const stored: Source = { bytes: source, view: new DataView(source.buffer, source.byteOffset, source.byteLength) };
  const memory: Memory = {
    bytes: target, floats: new Float32Array(target.buffer, target.byteOffset, target.byteLength / 4),
    parts: new Uint16Array(target.buffer, target.byteOffset, target.byteLength / 2), halves, halfBits: new Uint32Array(halves.buffer, halves.byteOffset, halves.length),
  };
  const whole = new Uint32Array(target.buffer, target.byteOffset, target.byteLength / 4);
  const { parts } = memory;
  const columns = new Uint32Array(8);
  const factors = new Uint16Array(4);
  const read = readers[format];
  const write = writers[shape.factors];
  const quads = order === 'quads';
  const { bits, chunk: words } = shape;
  /** Bits beyond four. */
  const more = bits - 4;
  const high = (2 ** (bits - 4) - 1) * 0x01010101;
  for (let row = 0; row < rows; row++) {
    const [half, r] = [(row >> 2) & 1, row & 3];
    /** Columns `bytes` of this row into the word at byte `at`. */
    const put = (at: number, bytes: number): void => {
      if (quads) whole[(at >> 2) + r] = bytes;
      else {
        parts[(at >> 1) + r] = bytes & 0xffff;
        parts[(at >> 1) + 4 + r] = bytes >>> 16;
      }
    };
    /** Bits of this row into the plane at byte `at`, which has those of the block's other rows as well. */
    const add = (at: number, bytes: number): void => {
      if (quads) whole[(at >> 2) + r] = (whole[(at >> 2) + r] as number) | bytes;
      else {
        parts[(at >> 1) + r] = (parts[(at >> 1) + r] as number) | (bytes & 0xffff);
        parts[(at >> 1) + 4 + r] = (parts[(at >> 1) + 4 + r] as number) | (bytes >>> 16);
      }
    };
    let group = (row >> 3) * blockBytes;
    let cell = group + shape.head;
    for (let c = 0, left = shape.cells; c < cells; c++, cell += shape.bytes) {
      if (left-- === 0) {
        left = shape.cells - 1;
        group = cell;
        cell += shape.head;
      }
      read(stored, row * rowBytes, c, columns, factors);
      write(memory, group, cell, row & 7, factors, shape.min);
      let at = cell + shape.numbers;
      if (bits === 8) {
        for (let g = 0; g < 8; g++, at += 32) put(at + 16 * half, columns[g] as number);
        continue;
      }
      at += 16 * half;
      for (let g = 0, plane = 0, place = more * words * half; g < 8; g += 2, at += 32) {
        const a = columns[g] as number;
        const b = columns[g + 1] as number;
        put(at, (a & nibbles) | ((b & nibbles) << 4));
        if (more === 0) continue;
        plane |= (((a >>> 4) & high) << place) | (((b >>> 4) & high) << (place + more));
        place += 2 * more;
        if ((g + 2) % words > 0) continue;
        add(at + 32 - 16 * half, plane);
        at += 16;
        place -= more * words;
        plane = 0;
      }
    }
  }
}

/** Where cells are written, and the values of binary16 numbers, by value and by bits. */
interface Memory {
  readonly bytes: Uint8Array;
  readonly floats: Float32Array;
  readonly parts: Uint16Array;
  readonly halves: Float32Array;
  readonly halfBits: Uint32Array;
}

/** Writes the factors of row `lane` of the cell at byte `cell`, whose group begins at byte `group`. */
type Writer = (memory: Memory, group: number, cell: number, lane: number, factors: Uint16Array, min: boolean) => void;

const writers: Readonly<Record<CellLayout['factors'], Writer>> = {
  float({ floats, halves }, _, cell, lane, factors) {
    floats[(cell >> 2) + lane] = halves[factors[0] as number] as number;
  },
  split({ parts, bytes, halfBits }, _, cell, lane, factors, min) {
    const scale = halfBits[factors[0] as number] as number;
    const smallest = min ? (halfBits[factors[1] as number] as number) : 0;
    parts[(cell >> 1) + lane] = scale >>> 16;
    if (min) parts[(cell >> 1) + cellRows + lane] = smallest >>> 16;
    bytes[cell + (min ? 4 : 2) * cellRows + lane] = ((scale >>> 8) & 0xe0) | ((smallest >>> 11) & 0x1c);
  },
  whole({ floats, bytes, halves }, group, cell, lane, factors, min) {
    bytes[cell + lane] = factors[0] as number;
    bytes[cell + cellRows + lane] = factors[1] as number;
    floats[(group >> 2) + lane] = halves[factors[2] as number] as number;
    if (min) floats[(group >> 2) + cellRows + lane] = -(halves[factors[3] as number] as number);
  },
};

/** Rows as ggml stores them, by bytes and by numbers. */
interface Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/**
 * Reads cell `cell` of the row at `row`: 32 numbers, a byte each, and its factors: the f16 scale and smallest value; or the bytes that
 * multiply f16 numbers, and these (d, dmin).
 */
type Reader = (source: Source, row: number, cell: number, columns: Uint32Array, factors: Uint16Array) => void;

/** Number j in the lower 4 bits of byte j, number j + 16 in the upper. */
function split(source: Source, at: number, columns: Uint32Array): void {
  for (let g = 0; g < 4; g++) {
    const bytes = source.view.getUint32(at + 4 * g, true);
    columns[g] = bytes & nibbles;
    columns[g + 4] = (bytes >>> 4) & nibbles;
  }
}

/** Scale and minimum of run j of a block of 256, 6 bits each, in the 12 bytes after the two f16 numbers at `at`. */
function sixBits(source: Source, at: number, j: number, factors: Uint16Array): void {
  const both = scaleAndMin(source.bytes, at + 4, j);
  factors[0] = both & 63;
  factors[1] = both >> 8;
  factors[2] = source.view.getUint16(at, true);
  factors[3] = source.view.getUint16(at + 2, true);
}

const readers: Readonly<Record<CellFormat, Reader>> = {
  q8_0(source, row, cell, columns, factors) {
    const at = row + 34 * cell;
    factors[0] = source.view.getUint16(at, true);
    for (let g = 0; g < 8; g++) columns[g] = source.view.getUint32(at + 2 + 4 * g, true);
  },
  q4_0(source, row, cell, columns, factors) {
    const at = row + 18 * cell;
    factors[0] = source.view.getUint16(at, true);
    split(source, at + 2, columns);
  },
  q4_1(source, row, cell, columns, factors) {
    const at = row + 20 * cell;
    factors[0] = source.view.getUint16(at, true);
    factors[1] = source.view.getUint16(at + 2, true);
    split(source, at + 4, columns);
  },
  q4_K(source, row, cell, columns, factors) {
    const [at, j] = [row + 144 * (cell >> 3), cell & 7];
    sixBits(source, at, j, factors);
    const from = at + 16 + 32 * (j >> 1);
    for (let g = 0; g < 8; g++) columns[g] = (source.view.getUint32(from + 4 * g, true) >>> (4 * (j & 1))) & nibbles;
  },
  q5_K(source, row, cell, columns, factors) {
    const [at, j] = [row + 176 * (cell >> 3), cell & 7];
    sixBits(source, at, j, factors);
    const from = at + 48 + 32 * (j >> 1);
    for (let g = 0; g < 8; g++) {
      const high = (source.view.getUint32(at + 16 + 4 * g, true) >>> j) & 0x01010101;
      columns[g] = ((source.view.getUint32(from + 4 * g, true) >>> (4 * (j & 1))) & nibbles) | (high << 4);
    }
  },
  q6_K(source, row, cell, columns, factors) {
    const [at, part, quarter] = [row + 210 * (cell >> 3), (cell >> 2) & 1, cell & 3];
    for (let s = 0; s < 2; s++) factors[s] = source.view.getUint8(at + 192 + 8 * part + 2 * quarter + s);
    factors[2] = source.view.getUint16(at + 208, true);
    const [low, high] = [at + 64 * part + 32 * (quarter & 1), at + 128 + 32 * part];
    for (let g = 0; g < 8; g++) {
      const upper = (source.view.getUint32(high + 4 * g, true) >>> (2 * quarter)) & 0x03030303;
      columns[g] = ((source.view.getUint32(low + 4 * g, true) >>> (4 * (quarter >> 1))) & nibbles) | (upper << 4);
    }
  },
};

/** Element (row, column) of a packed matrix, for tests. */
export function cellElement(format: CellFormat, order: WordOrder, bytes: Uint8Array, k: number, row: number, column: number): number {
  const shape = cellLayout(format);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const c = Math.floor(column / cellColumns);
  const group = (row >> 3) * cellBlockBytes(format, k) + Math.floor(c / shape.cells) * (shape.head + shape.cells * shape.bytes);
  const cell = group + shape.head + (c % shape.cells) * shape.bytes;
  if (row < 0 || column >= k || cell + shape.bytes > bytes.length) throw new InternalError('cpu', `element (${row}, ${column}) is outside of its matrix`);
  const [lane, g, place] = [row & 7, (column & 31) >> 2, placeOf(order, row & 3, column & 3)];
  const chunk = cell + shape.numbers + Math.floor(g / shape.chunk) * chunkBytes(shape) + place;
  const { low, shift, plane, bit } = wordPlace(shape, g % shape.chunk, (row >> 2) & 1);
  let q: number;
  if (shape.bits === 8) q = view.getInt8(chunk + low);
  else {
    q = (view.getUint8(chunk + low) >> shift) & 15;
    if (shape.bits > 4) q |= ((view.getUint8(chunk + plane) >> bit) & (2 ** (shape.bits - 4) - 1)) << 4;
  }
  q -= shape.zero;
  if (shape.factors === 'float') return view.getFloat32(cell + 4 * lane, true) * q;
  if (shape.factors === 'split') {
    const further = view.getUint8(cell + shape.numbers - cellRows + lane);
    const factor = (n: number): number => {
      const bits = (view.getUint16(cell + 2 * (cellRows * n + lane), true) << 16) | ((further << (n === 0 ? 8 : 11)) & 0xe000);
      return new Float32Array(Int32Array.of(bits).buffer)[0] as number;
    };
    return factor(0) * q + (shape.min ? factor(1) : 0);
  }
  const d = view.getFloat32(group + 4 * lane, true);
  if (shape.scales === 2) return d * view.getInt8(cell + (g < 4 ? 0 : cellRows) + lane) * q;
  return d * view.getUint8(cell + lane) * q + view.getFloat32(group + 4 * (cellRows + lane), true) * view.getUint8(cell + cellRows + lane);
}
