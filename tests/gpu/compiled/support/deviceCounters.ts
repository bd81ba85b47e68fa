type Method = (...given: never[]) => unknown;

/** `then` hears each call of a method from now on, with its result, until what this returns is called. */
export function after<T extends object, K extends keyof T>(
  object: T,
  name: K,
  then: T[K] extends (...given: infer A) => infer R ? (result: R, ...given: A) => void : never,
): () => void {
  const original = (object[name] as Method).bind(object) as (...given: unknown[]) => unknown;
  Object.defineProperty(object, name, {
    configurable: true,
    value: (...given: unknown[]): unknown => {
      const result = original(...given);
      (then as (...given: unknown[]) => void)(result, ...given);
      return result;
    },
  });
  return () => delete object[name];
}

/** `then` hears each dispatch that is recorded from now on. */
export function afterDispatches(device: GPUDevice, then: () => void): () => void {
  return after(device, 'createCommandEncoder', (encoder) =>
    after(encoder, 'beginComputePass', (pass) => after(pass, 'dispatchWorkgroups', () => void then())),
  );
}

const MAKERS = [
  'createBuffer',
  'createBindGroup',
  'createBindGroupLayout',
  'createPipelineLayout',
  'createShaderModule',
  'createComputePipeline',
  'createComputePipelineAsync',
  'createTexture',
  'createQuerySet',
] as const;

/** Objects that are made on the device, encoders apart, submits, and dispatches, from now until `stop`. */
export function countersOf(device: GPUDevice) {
  const now = { objects: 0, submits: 0, dispatches: 0 };
  const undo = [
    ...MAKERS.map((name) => after(device, name, () => void now.objects++)),
    after(device.queue, 'submit', () => void now.submits++),
    afterDispatches(device, () => void now.dispatches++),
  ];
  return { now, stop: () => undo.forEach((one) => one()) };
}
