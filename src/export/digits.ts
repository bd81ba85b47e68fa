/** A float32 in text: nine digits tell any two apart. JSON makes null of what is no number. */
export const digits = (value: number): number => Number(value.toPrecision(9));
