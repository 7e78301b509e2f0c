/** An error whose message says what was expected, what was received and what to do about it. */
export class UnmaskError extends Error {
  override name = "UnmaskError";
}

/** A sample that could not be read; a data loader skips, counts and lists it. */
export class BadSampleError extends UnmaskError {
  override name = "BadSampleError";
  constructor(
    readonly sample: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`${sample}: ${reason}`, options);
  }
}

/** A file that is not what its format says, or would need more than its own bytes to be read. */
export class FormatError extends UnmaskError {
  override name = "FormatError";
}

/** Throws an {@link UnmaskError} unless `condition` holds. The message names function, expectation, received, remedy. */
export function expect(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new UnmaskError(typeof message === "string" ? message : message());
}
