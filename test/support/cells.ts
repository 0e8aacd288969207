/** Quantised rows in cells (see compiler/cell-layout.ts): packed number by number, as the layout says, and found again. */
import { cellBlockBytes, cellColumns, cellLayout, cellRows, chunkBytes, wordPlace, type CellFormat } from '../../compiler/cell-layout.ts';
import { formatBlock } from '../../compiler/formats.ts';
import type { WordOrder } from '../../runtime/cpu/emit/cell-products.ts';
import { halfToFloat } from '../../runtime/weights/element.ts';
import { scaleAndMin } from '../../runtime/weights/gguf/decode-256.ts';
import { nibble } from './blocks.ts';

/** The byte of row r (0..3) and column c (0..3) in a word. */
const placeOf = (order: WordOrder, r: number, c: number): number => (order === 'quads' ? 4 * r + c : 8 * (c >> 1) + 2 * r + (c & 1));

/** Number n of the block at byte `at`, as it is stored: without a sign. */
const numberOf: Readonly<Record<CellFormat, (view: DataView, at: number, n: number) => number>> = {
  q8_0: (view, at, n) => view.getUint8(at + 2 + n),
  q4_0: (view, at, n) => nibble(view, at + 2, n, 16),
  q4_1: (view, at, n) => nibble(view, at + 4, n, 16),
  q4_K: (view, at, n) => nibble(view, at + 16, n, 32),
  q5_K: (view, at, n) => nibble(view, at + 48, n, 32) + 16 * ((view.getUint8(at + 16 + (n % 32)) >> (n >> 5)) & 1),
  q6_K: (view, at, n) => nibble(view, at + 64 * (n >> 7), n % 128, 64) + 16 * ((view.getUint8(at + 128 + 32 * (n >> 7) + (n % 32)) >> (2 * ((n % 128) >> 5))) & 3),
};

/** Rows as files store them in cells; of a last block that they do not fill, the rest is zeros. */
export function packCells(format: CellFormat, order: WordOrder, source: Uint8Array, k: number): Uint8Array {
  const shape = cellLayout(format);
  const { elements, bytes } = formatBlock(format);
  const rows = ((source.length / bytes) * elements) / k;
  const blockBytes = cellBlockBytes(format, k);
  const packed = new Uint8Array(Math.ceil(rows / cellRows) * blockBytes);
  const [from, to] = [new DataView(source.buffer, source.byteOffset, source.length), new DataView(packed.buffer)];
  const half = (at: number): number => halfToFloat(from.getUint16(at, true));
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < k / cellColumns; c++) {
      const at = Math.floor((row * k + c * cellColumns) / elements) * bytes;
      const j = c % shape.cells;
      const group = Math.floor(row / cellRows) * blockBytes + Math.floor(c / shape.cells) * (shape.head + shape.cells * shape.bytes);
      const cell = group + shape.head + j * shape.bytes;
      const lane = row % cellRows;
      if (shape.factors === 'float') to.setFloat32(cell + 4 * lane, half(at), true);
      else if (shape.factors === 'split') {
        const [scale = 0, smallest = 0] = new Uint32Array(Float32Array.of(half(at), shape.min ? half(at + 2) : 0).buffer);
        to.setUint16(cell + 2 * lane, scale >>> 16, true);
        if (shape.min) to.setUint16(cell + 2 * (cellRows + lane), smallest >>> 16, true);
        to.setUint8(cell + shape.numbers - cellRows + lane, ((scale >>> 8) & 0xe0) | ((smallest >>> 11) & 0x1c));
      } else {
        const both = shape.scales === 2 ? from.getUint16(at + 192 + 2 * j, true) : scaleAndMin(source, at + 4, j);
        to.setUint8(cell + lane, both & 255);
        to.setUint8(cell + cellRows + lane, both >> 8);
        to.setFloat32(group + 4 * lane, half(shape.scales === 2 ? at + 208 : at), true);
        if (shape.min) to.setFloat32(group + 4 * (cellRows + lane), 0 - half(at + 2), true);
      }
      for (let column = 0; column < cellColumns; column++) {
        const q = numberOf[format](from, at, j * cellColumns + column);
        const word = column >> 2;
        const chunk = cell + shape.numbers + Math.floor(word / shape.chunk) * chunkBytes(shape) + placeOf(order, row & 3, column & 3);
        const { low, shift, plane, bit } = wordPlace(shape, word % shape.chunk, lane >> 2);
        const add = (place: number, bits: number): void => { to.setUint8(place, to.getUint8(place) | bits); };
        add(chunk + low, (shape.bits === 8 ? q : q & 15) << shift);
        if (shape.bits === 5 || shape.bits === 6) add(chunk + plane, (q >> 4) << bit);
      }
    }
  }
  return packed;
}

/** Element (row, column) of a packed matrix. */
export function cellElement(format: CellFormat, order: WordOrder, bytes: Uint8Array, k: number, row: number, column: number): number {
  const shape = cellLayout(format);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const c = Math.floor(column / cellColumns);
  const group = (row >> 3) * cellBlockBytes(format, k) + Math.floor(c / shape.cells) * (shape.head + shape.cells * shape.bytes);
  const cell = group + shape.head + (c % shape.cells) * shape.bytes;
  if (row < 0 || column >= k || cell + shape.bytes > bytes.length) throw new Error(`element (${row}, ${column}) is outside of its matrix`);
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
