/** Makes names: the hint, spelt as the format wants it, with a number behind it where it is taken. */
export function uniqueNames(
  reserved: readonly string[],
  spelt: (hint: string) => string = (hint) => hint,
): (hint: string) => string {
  const used = new Set(reserved);
  return (hint) => {
    const plain = spelt(hint);
    let name = plain;
    for (let n = 2; used.has(name); n++) name = `${plain}_${n}`;
    used.add(name);
    return name;
  };
}
