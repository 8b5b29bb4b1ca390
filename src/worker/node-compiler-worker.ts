/** Entry point of the thread that writes and compiles regions (node-compiler.ts). */
import { workerData, type MessagePort } from 'node:worker_threads';
import { RegionWorkshop, type RegionJob } from '../vmm/translate/region-job';

const workshop = new RegionWorkshop();
const port = workerData as MessagePort;
port.on('message', (job: RegionJob) => port.postMessage(workshop.do(job)));
