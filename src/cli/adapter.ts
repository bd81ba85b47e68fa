import { probe } from '../engine/device.ts';
import { deviceInWords } from '../engine/fasterDevice.ts';
import { nodeEngineEnvironment } from '../platform/node/engineEnvironment.ts';
import type { Command } from './command.ts';
import { readFlags, refuseWords } from './flags.ts';
import { speeds } from './speeds.ts';

/** What `training.device: auto` takes on this machine. The cloud's set-up ends with it. */
export const command: Command = {
  summary: 'Says in one line what training would run on here.',
  usage: `npm run adapter [-- --require-gpu]

  --require-gpu   exit code 1 where it is no graphics processor`,
  async run(args) {
    const { values, positionals } = readFlags('adapter', args, { 'require-gpu': { type: 'boolean', default: false } });
    refuseWords('adapter', positionals);
    const report = await probe('auto', { ...(await nodeEngineEnvironment({ gpu: true })), speeds: speeds() });
    console.log(report.notice ?? `Training runs on the graphics processor: ${deviceInWords(report)}.`);
    return values['require-gpu'] && report.backend !== 'webgpu' ? 1 : 0;
  },
};
