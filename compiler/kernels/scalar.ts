/**
 * The scalar-expression IR: what one element of a result is, as a tree over loop indices and loads.
 * Every elementwise, normalised, rotated, masked, gathered or reduced computation is written in it once, and is then
 * emitted to WGSL and to WASM SIMD, and interpreted in tests. Two sorts of expression: `Index` is a 32-bit integer,
 * `Scalar` is a 32-bit float.
 */

/**
 * Sizes known only when a step runs.
 * T tokens in this step; P tokens already in the cache; S = P + T; R trailing tokens whose logits are wanted;
 * L the sequence length that length-dependent rotary scaling sees (P + T unless the caller knows the final length).
 */
export type DimName = 'T' | 'P' | 'S' | 'R' | 'L';
export type Dim = number | DimName;
export type Shape = readonly Dim[];

/** An integer expression. `div` and `mod` are floor division and its remainder; divisors are positive constants. */
export type Index =
  | { readonly op: 'int'; readonly value: number }
  | { readonly op: 'axis'; readonly axis: number }
  | { readonly op: 'dim'; readonly dim: DimName }
  | { readonly op: 'add' | 'sub' | 'min' | 'max'; readonly a: Index; readonly b: Index }
  | { readonly op: 'mul' | 'div' | 'mod'; readonly a: Index; readonly by: number }
  /** An element of an i32 source: indirect access (embedding rows, expert choices). */
  | { readonly op: 'at'; readonly source: number; readonly index: readonly Index[] };

export type UnaryFunction =
  | 'neg' | 'abs' | 'exp' | 'log' | 'sqrt' | 'rsqrt' | 'reciprocal' | 'tanh' | 'sigmoid' | 'erf'
  | 'sin' | 'cos' | 'floor' | 'ceil' | 'round';
/** Comparisons give 1 or 0. `pow` is defined for a non-negative base. */
export type BinaryFunction = 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'pow' | 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne';
export type ReduceFunction = 'sum' | 'max' | 'min';

/**
 * A float expression.
 * `arg` is the broadcast element of a `map` operator's operand and occurs only in graphs; `load` (an explicit element of a
 * kernel's source, one index per axis) and `accumulator` (the product that a linear or attention template has computed, at
 * the given index) occur only in kernels. `reduce` binds loop axis `axis`, which no enclosing loop uses.
 */
export type Scalar =
  | { readonly op: 'const'; readonly value: number }
  | { readonly op: 'arg'; readonly arg: number }
  | { readonly op: 'load'; readonly source: number; readonly index: readonly Index[] }
  | { readonly op: 'accumulator'; readonly index: readonly Index[] }
  | { readonly op: 'index'; readonly index: Index }
  | { readonly op: 'unary'; readonly fn: UnaryFunction; readonly x: Scalar }
  | { readonly op: 'binary'; readonly fn: BinaryFunction; readonly a: Scalar; readonly b: Scalar }
  /** `then` where `condition` is not 0. Both arms may be evaluated; a load in the arm not taken may be out of range, and must then not trap. */
  | { readonly op: 'select'; readonly condition: Scalar; readonly then: Scalar; readonly else: Scalar }
  | { readonly op: 'reduce'; readonly fn: ReduceFunction; readonly axis: number; readonly extent: Dim; readonly body: Scalar };
