import { z } from 'zod';

/** Settings are built from this `z`, so that zod never tries `new Function`, which a strict content policy forbids and reports. */
z.config({ jitless: true });

export { z };
