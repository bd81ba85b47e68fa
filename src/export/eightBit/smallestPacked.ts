/** A tensor of as many weights or fewer stays full: its table or scales would take as much. coremltools' own limit (`weight_threshold`). */
export const smallestPacked = 2048;
