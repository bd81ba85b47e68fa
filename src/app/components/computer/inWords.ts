import type { AdapterReport } from '../../../workers/protocol.ts';
import { bytes, flops, whole } from '../../format.ts';

export interface Row {
  readonly name: string;
  readonly means: string;
  readonly value: string;
}

/** What the device means for somebody who wants a model. */
export function meaning(report: AdapterReport): string {
  if (report.backend === 'webgpu' && report.software) {
    return 'A graphics card imitated by the processor. It computes the same numbers, many times slower; it is there for tests.';
  }
  switch (report.backend) {
    case 'webgpu':
      return 'The graphics processor of this computer, through WebGPU: the fast way. Any of the networks can be trained.';
    case 'wasm':
      return 'The processor of this computer. The small networks train in minutes; the large ones take hours, which the measurement before a run tells.';
    case 'webgl':
      return 'The graphics processor through WebGL, an older way; WebGPU is faster where the browser has it.';
    case 'cpu':
      return 'Plain JavaScript: for tests only.';
  }
}

const limits: readonly { name: string; means: string; show: (n: number) => string }[] = [
  { name: 'maxBufferSize', means: 'Largest piece of memory', show: bytes },
  { name: 'maxStorageBufferBindingSize', means: 'Largest tensor', show: bytes },
  { name: 'maxStorageBuffersPerShaderStage', means: 'Tensors that one kernel may touch', show: whole },
  { name: 'maxComputeWorkgroupStorageSize', means: 'Fast memory of a workgroup', show: bytes },
  { name: 'maxComputeInvocationsPerWorkgroup', means: 'Threads of a workgroup', show: whole },
];

export function limitRows(report: AdapterReport): Row[] {
  return limits.flatMap(({ name, means, show }) => {
    const value = report.limits[name];
    return value === undefined ? [] : [{ name, means, value: show(value) }];
  });
}

const features = [
  { name: 'shader-f16', means: 'Half precision, twice as fast where it is used' },
  { name: 'subgroups', means: 'Threads that share registers' },
  { name: 'timestamp-query', means: 'Timing on the device' },
] as const;

export function featureRows(report: AdapterReport): Row[] {
  if (report.backend !== 'webgpu') return [];
  return features.map(({ name, means }) => ({ name, means, value: report.features.includes(name) ? 'yes' : 'no' }));
}

/** What the measurement has found. */
export function speedRows({ speeds }: AdapterReport): Row[] {
  if (speeds === undefined) return [];
  const row = (name: string, means: string, rate: number): Row => ({
    name,
    means,
    value: rate > 0 ? flops(rate) : 'failed',
  });
  return [
    row('WebGPU', 'A short training step on the graphics processor', speeds.webgpu),
    row('WebAssembly', 'The same step on the processor', speeds.wasm),
  ];
}

/** Why no real GPU is used, as far as the page can tell, and what to do; first reason first. */
export function reasons(report: AdapterReport | null, secure: boolean, hasWebGpu: boolean): string[] {
  if (!secure) return ['The address is not secure (http://), so the browser hides WebGPU.'];
  if (!hasWebGpu) {
    return [
      'This browser has no WebGPU, or it is switched off. It comes with Chrome and Edge 113 and later on Windows and Mac, 121 on Android, 144 on Linux with Intel graphics and 147 with NVIDIA; with Safari 26; with Firefox 141 on Windows and 145 on Macs with Apple silicon.',
    ];
  }
  return [
    report?.notice?.includes('software') || report?.software
      ? 'The browser found only a graphics card imitated in software.'
      : 'The browser has WebGPU, but it was given no graphics card that it trusts.',
    'The usual causes: hardware acceleration is off in the browser’s settings or by policy, the driver is old or on the browser’s blocklist, or this is a remote desktop or a virtual machine.',
  ];
}

/** To be sent to those who manage the computer. */
export function itRequestText(report: AdapterReport | null, secure: boolean, hasWebGpu: boolean): string {
  return [
    `We would like to use WebGPU on ${secure ? location.origin : `${location.origin} (served over https://)`}; it trains an image classifier on the computer’s own graphics processor. No image leaves the computer.`,
    '',
    'Please check:',
    ...(secure ? [] : ['- The page must be served over https://; WebGPU does not exist on http:// addresses.']),
    '- Chrome or Edge, current version. chrome://gpu (edge://gpu) should say “WebGPU: Hardware accelerated”.',
    '- Policy HardwareAccelerationModeEnabled must not be set to false (chrome://policy, edge://policy).',
    '- The graphics driver should be the maker’s current one; old drivers are on the browser’s blocklist.',
    '- On a remote desktop or a virtual machine, a graphics processor must be passed through.',
    '',
    `What the page found: ${report ? `${report.label}; ` : ''}secure address: ${secure ? 'yes' : 'no'}; WebGPU in the browser: ${hasWebGpu ? 'yes' : 'no'}; ${navigator.userAgent}`,
  ].join('\n');
}
