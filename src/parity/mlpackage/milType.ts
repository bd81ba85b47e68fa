/** Of a tensor's numbers: DataType of MIL.proto, as far as image classifiers have a use for it. */
export type MilType =
  'bool' | 'string' | 'float16' | 'float32' | 'int8' | 'int16' | 'int32' | 'uint8' | 'uint16' | 'uint32';
