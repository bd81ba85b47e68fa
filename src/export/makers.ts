/** A maker and the classes that are its models'. */
export interface Maker {
  readonly name: string;
  /** Indices into the labels, ascending. */
  readonly classes: readonly number[];
}

/**
 * What stands before the first ` - ` of a label (`MDT - Azure` is a model of `MDT`); a label without it is a maker of its own. In the
 * order of their first classes. A maker's probability is the sum of its classes'.
 */
export function makersOf(labels: readonly string[]): readonly Maker[] {
  const classesOf = new Map<string, number[]>();
  labels.forEach((label, index) => {
    const end = label.indexOf(' - ');
    const name = end < 0 ? label : label.slice(0, end);
    const classes = classesOf.get(name);
    if (classes === undefined) classesOf.set(name, [index]);
    else classes.push(index);
  });
  return [...classesOf].map(([name, classes]) => ({ name, classes }));
}

/** 1 where a class is a maker's, else 0, row-major: `[makers, classes]`, or `[classes, makers]` where classes come first. */
export function makerMatrix(makers: readonly Maker[], classes: number, first: 'makers' | 'classes'): Float32Array {
  const matrix = new Float32Array(makers.length * classes);
  for (const [maker, { classes: own }] of makers.entries())
    for (const index of own) matrix[first === 'makers' ? maker * classes + index : index * makers.length + maker] = 1;
  return matrix;
}
