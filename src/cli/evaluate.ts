import type { Command } from './command.ts';

export const command: Command = {
  summary: '',
  usage: '',
  run: () => Promise.reject(new Error('not yet')),
};
