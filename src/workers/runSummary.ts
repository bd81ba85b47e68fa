import type { RunRecord } from '../training/types.ts';
import type { RunSummary } from './protocol.ts';

/** What the page needs of a run: without the names of its thousands of images. */
export function summaryOf(record: RunRecord, state: RunSummary['state'] = record.state): RunSummary {
  const { weightsId: _, members: __, ...summary } = record;
  return { ...summary, state };
}
