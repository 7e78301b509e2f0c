/** Something for each modality, by its name. */
export type ByModality<T> = Readonly<Record<string, T>>;

/** f of every value, under the same names and in the same order. */
export const mapModalities = <T, U>(values: ByModality<T>, f: (value: T, name: string) => U): ByModality<U> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, f(value, name)]));
