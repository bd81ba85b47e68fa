/**
 * TensorFlow's GraphDef in proto3's JSON form, as TensorFlow.js reads it (tfjs-converter/src/data/compiled_api.ts): 64-bit integers are texts,
 * `bytes` are base64.
 */
export interface NodeDef {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr: Readonly<Record<string, AttrValue>>;
}

export type DataType = 'DT_FLOAT' | 'DT_INT32';
interface Shape {
  readonly dim: readonly { readonly size: string }[];
}
type AttrValue =
  | { readonly type: DataType }
  | { readonly b: boolean }
  | { readonly i: string }
  | { readonly f: number }
  | { readonly s: string }
  | { readonly shape: Shape }
  | { readonly list: { readonly i: readonly string[] } | { readonly s: readonly string[] } }
  | { readonly tensor: { readonly dtype: DataType; readonly tensorShape: Shape } };

/** The few texts that our attributes hold, in base64. */
const base64 = {
  NHWC: 'TkhXQw==',
  VALID: 'VkFMSUQ=',
  EXPLICIT: 'RVhQTElDSVQ=',
  BiasAdd: 'Qmlhc0FkZA==',
  Relu: 'UmVsdQ==',
} as const;
export type AttrText = keyof typeof base64;

export const text = (value: AttrText): AttrValue => ({ s: base64[value] });
export const texts = (values: readonly AttrText[]): AttrValue => ({ list: { s: values.map((one) => base64[one]) } });
export const integer = (value: number): AttrValue => ({ i: String(value) });
export const integers = (values: readonly number[]): AttrValue => ({ list: { i: values.map(String) } });
export const number = (value: number): AttrValue => ({ f: value });
export const flag = (value: boolean): AttrValue => ({ b: value });
export const type = (value: DataType): AttrValue => ({ type: value });
/** −1 is a size that is known when the model runs. */
export const shapeOf = (sizes: readonly number[]): Shape => ({ dim: sizes.map((size) => ({ size: String(size) })) });
export const shape = (sizes: readonly number[]): AttrValue => ({ shape: shapeOf(sizes) });
/** A tensor whose values lie in the weight files. */
export const tensor = (dtype: DataType, sizes: readonly number[]): AttrValue => ({
  tensor: { dtype, tensorShape: shapeOf(sizes) },
});
