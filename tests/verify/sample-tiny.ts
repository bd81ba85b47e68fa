/** The quick look's defaults reach over 90 % on the sample's Test split. `--seeds 42,1,2` */
import { verifySample } from './headless/sample.ts';

await verifySample({}, 0.9);
