/** What tensors live in, as kernels take it. */

/** Typed arrays that tensors live in. */
export type Storage = Float32Array | Int32Array | Uint8Array;

declare const elements: unique symbol;

/**
 * A typed array that JavaScript must not look into: kernels that were called may not have run yet. The addon runs them in
 * the order of their calls; `NativeBackend.elements` waits for them.
 */
export interface Memory<A extends Storage> {
  readonly [elements]: A;
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
}

export type Floats = Memory<Float32Array>;
export type Ints = Memory<Int32Array>;
export type Bytes = Memory<Uint8Array>;
