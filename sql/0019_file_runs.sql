-- Backups of users' files are in the log of steps alone; the watch over schedules looks for them every few minutes.
create index tenant_backup_logs_files on holdfast.tenant_backup_logs (tenant, at desc) where step = 'files' and result = 'started';
