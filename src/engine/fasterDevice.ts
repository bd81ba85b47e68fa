import type { AdapterReport, Speeds } from './types.ts';

/** Nearer to each other than this, either may be the faster one with another network. */
const UNCLEAR = 1.3;

/** The device to train on by what was measured: the faster one; WebGPU where it isn't clear, which leaves the processor to the page. */
export function fasterDevice({ webgpu, wasm }: Speeds): 'webgpu' | 'wasm' {
  return wasm > UNCLEAR * webgpu ? 'wasm' : 'webgpu';
}

/** `12 × as fast as the processor here`: of the device that was chosen; null where nothing was measured or there is nothing to compare with. */
export function speedInWords({ backend, speeds }: Pick<AdapterReport, 'backend' | 'speeds'>): string | null {
  if (speeds === undefined || !(speeds.webgpu > 0 && speeds.wasm > 0)) return null;
  if (backend === 'wasm') return `${times(speeds.wasm / speeds.webgpu)} × as fast as the graphics processor here`;
  if (backend !== 'webgpu') return null;
  const ratio = speeds.webgpu / speeds.wasm;
  if (ratio < UNCLEAR) return 'about as fast as the processor here';
  return `${times(ratio)} × as fast as the processor here`;
}

/** `NVIDIA RTX 3050, 12 × as fast as the processor here`. */
export function deviceInWords(report: AdapterReport): string {
  const speed = speedInWords(report);
  return speed === null ? report.label : `${report.label}, ${speed}`;
}

/** Why a real GPU was passed over, for the user; `gpu`: its name. */
export function passedOver(gpu: string, speeds: Speeds): string {
  if (!(speeds.webgpu > 0))
    return (
      `${gpu} failed in a short measurement; training runs on the processor (WebAssembly). With training.device webgpu it runs on ` +
      'the graphics processor all the same.'
    );
  return (
    `${gpu} was measured, and a training step takes ${times(speeds.wasm / speeds.webgpu)} × as long there: training runs on the ` +
    'processor (WebAssembly).'
  );
}

/** Two digits: a short measurement knows no more. */
function times(ratio: number): string {
  return Number(ratio.toPrecision(2)).toLocaleString('en', { maximumFractionDigits: 1 });
}
